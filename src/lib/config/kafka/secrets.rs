//! Properties from separate files, which only the program may read.

use super::connection::Sasl;
use super::librdkafka::canonical;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The options that name the files.
const PASSWORD: &str = "sasl-password-file";
const PROPERTIES: &str = "properties-file";

/// A file with a secret that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretError {
    /// It cannot be read.
    #[error("{option}: cannot read {}", path.display())]
    Read { option: &'static str, path: PathBuf, source: std::io::Error },
    /// It is empty.
    #[error("{PASSWORD}: {} is empty", path.display())]
    Empty { path: PathBuf },
    /// A line of it is not a property.
    #[error("{PROPERTIES}: {}:{line}: not name=value", path.display())]
    Line { path: PathBuf, line: usize },
}

/// The properties, including those from the properties file, and the password.
pub(super) fn all(
    properties: &BTreeMap<String, String>,
    properties_file: Option<&Path>,
    sasl: Option<&Sasl>,
) -> Result<BTreeMap<String, String>, SecretError> {
    let mut all = properties.clone();
    add(&mut all, properties_file, sasl.and_then(|sasl| sasl.password_file.as_deref()))?;
    Ok(all)
}

fn add(
    all: &mut BTreeMap<String, String>,
    properties_file: Option<&Path>,
    password_file: Option<&Path>,
) -> Result<(), SecretError> {
    if let Some(path) = properties_file {
        for (number, line) in read_file(PROPERTIES, path)?.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = || SecretError::Line { path: path.to_owned(), line: number + 1 };
            let (name, value) = line.split_once('=').ok_or_else(wrong)?;
            all.insert(canonical(name.trim()).to_owned(), value.trim().to_owned());
        }
    }
    if let Some(path) = password_file {
        let text = read_file(PASSWORD, path)?;
        let password = text.lines().next().filter(|line| !line.is_empty());
        let password = password.ok_or_else(|| SecretError::Empty { path: path.to_owned() })?;
        all.insert("sasl.password".to_owned(), password.to_owned());
    }
    Ok(())
}

fn read_file(option: &'static str, path: &Path) -> Result<String, SecretError> {
    std::fs::read_to_string(path).map_err(|source| SecretError::Read { option, path: path.to_owned(), source })
}
