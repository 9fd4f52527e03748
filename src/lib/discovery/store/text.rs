//! The document as text, the same in every store.

use super::interface::StoreError;
use crate::discovery::document::{Document, FORMAT};
use serde::Deserialize;

/// Reads a document of any store.
pub(super) fn read(bytes: &[u8]) -> Result<Document, StoreError> {
    #[derive(Deserialize)]
    struct Format {
        format: u32,
    }
    let Format { format } = serde_json::from_slice(bytes).map_err(StoreError::Decode)?;
    if format != FORMAT {
        return Err(StoreError::Format(format));
    }
    serde_json::from_slice(bytes).map_err(StoreError::Decode)
}

/// The document as every store keeps it.
pub(super) fn write(document: &Document) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(document).map_err(StoreError::Encode)
}
