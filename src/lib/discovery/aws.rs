//! Requests to AWS: credentials by the usual chain (environment, profile, container, instance), signed by hand, sent
//! over our own connections. The SDKs of the services are not needed for that.

use super::http::{Http, HttpError};
use crate::config::Tls;
use crate::http::{Reply, SetupError};
use aws_config::BehaviorVersion;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_http_client::tls;
use hyper::Method;
use std::time::{Duration, SystemTime};

/// Why AWS does not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum AwsError {
    /// No region is known.
    #[error("no AWS region is configured; set aws-default-region or AWS_DEFAULT_REGION")]
    Region,
    /// There are no credentials.
    #[error("no AWS credentials found")]
    Credentials(#[from] CredentialsError),
    /// The request cannot be signed.
    #[error("the request cannot be signed: {0}")]
    Sign(String),
    /// The client cannot be set up.
    #[error("the AWS client cannot be set up")]
    Setup(#[from] SetupError),
    /// No reply.
    #[error("AWS does not answer")]
    Http(#[from] HttpError),
    /// A reply that says no.
    #[error("{request} was refused with {status} {code}: {message}")]
    Refused {
        request: &'static str,
        /// The HTTP status.
        status: u16,
        /// The error's code.
        code: String,
        /// In words.
        message: String,
    },
    /// A reply that is not what was asked for.
    #[error("unexpected response to {request}: {reason}")]
    Content { request: &'static str, reason: String },
}

impl AwsError {
    /// Whether AWS has the code of an error.
    #[must_use]
    pub fn is(&self, wanted: &str) -> bool {
        matches!(self, Self::Refused { code, .. } if code == wanted)
    }
}

/// The account and region.
#[derive(Clone)]
pub(crate) struct Aws {
    credentials: SharedCredentialsProvider,
    region: String,
    endpoint: Option<String>,
}

/// One service of AWS.
pub(crate) struct Service {
    aws: Aws,
    name: &'static str,
    http: Http,
    url: String,
}

impl Aws {
    /// Finds region and credentials; asks for none so far.
    ///
    /// # Errors
    /// No region is known, or there is no source of credentials.
    pub(crate) async fn open(region: Option<&str>) -> Result<Self, AwsError> {
        let client = aws_smithy_http_client::Builder::new()
            .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
            .build_https();
        let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(client);
        if let Some(region) = region {
            loader = loader.region(aws_config::Region::new(region.to_owned()));
        }
        let config = loader.load().await;
        let region = config.region().map(ToString::to_string).ok_or(AwsError::Region)?;
        let credentials =
            config.credentials_provider().ok_or_else(|| CredentialsError::not_loaded("no credentials provider"))?;
        Ok(Self { credentials, region, endpoint: config.endpoint_url().map(str::to_owned) })
    }

    /// A service by its name in signatures; `variable` is what its own endpoint is called behind `AWS_ENDPOINT_URL_`.
    ///
    /// # Errors
    /// Its URL cannot be used, or there are no authorities to trust.
    pub(crate) fn service(&self, name: &'static str, variable: &str) -> Result<Service, AwsError> {
        let own = std::env::var(format!("AWS_ENDPOINT_URL_{variable}")).ok().filter(|url| !url.is_empty());
        let domain = if self.region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        let public = || format!("https://{name}.{}.{domain}", self.region);
        let url = own.or_else(|| self.endpoint.clone()).unwrap_or_else(public);
        let url = url.trim_end_matches('/').to_owned();
        let http = Http::open(std::slice::from_ref(&url), &Tls::default())?;
        Ok(Service { aws: self.clone(), name, http, url })
    }
}

impl Service {
    /// Posts a signed body. Any status is a reply.
    ///
    /// # Errors
    /// No credentials, or no reply.
    pub(crate) async fn post(&self, headers: &[(&str, &str)], body: &str, time: Duration) -> Result<Reply, AwsError> {
        let credentials = self.aws.credentials.provide_credentials().await?;
        let mut all = headers.to_vec();
        all.push(("host", self.http.authority()));
        let signature = signature(
            credentials,
            (&self.aws.region, self.name),
            (&format!("{}/", self.url), &all),
            body.as_bytes(),
            SystemTime::now(),
        )?;
        let mut all = headers.to_vec();
        all.extend(signature.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        Ok(self.http.send(Method::POST, "/", &all, body.to_owned(), time).await?)
    }
}

/// The headers that sign a POST.
fn signature(
    credentials: aws_credential_types::Credentials,
    (region, service): (&str, &str),
    (url, headers): (&str, &[(&str, &str)]),
    body: &[u8],
    time: SystemTime,
) -> Result<Vec<(String, String)>, AwsError> {
    let wrong = |error: &dyn std::fmt::Display| AwsError::Sign(error.to_string());
    let identity = credentials.into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(service)
        .time(time)
        .settings(SigningSettings::default())
        .build()
        .map_err(|error| wrong(&error))?
        .into();
    let request = SignableRequest::new("POST", url, headers.iter().copied(), SignableBody::Bytes(body))
        .map_err(|error| wrong(&error))?;
    let (instructions, _) = sign(request, &parameters).map_err(|error| wrong(&error))?.into_parts();
    Ok(instructions.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    /// The vectors `post-vanilla` and `post-x-www-form-urlencoded` of AWS' Signature Version 4 test suite.
    #[test]
    fn signatures_are_those_of_the_test_suite() {
        type Vector = (&'static [(&'static str, &'static str)], &'static str, &'static str);
        let vectors: [Vector; 2] = [
            (
                &[("host", "example.amazonaws.com")],
                "",
                "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
            ),
            (
                &[("host", "example.amazonaws.com"), ("content-type", "application/x-www-form-urlencoded")],
                "Param1=value1",
                "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
            ),
        ];
        let time = UNIX_EPOCH + Duration::from_secs(1_440_938_160);
        for (headers, body, wanted) in vectors {
            let key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
            let credentials = aws_credential_types::Credentials::new("AKIDEXAMPLE", key, None, None, "test");
            let place = ("us-east-1", "service");
            let signed =
                signature(credentials, place, ("https://example.amazonaws.com/", headers), body.as_bytes(), time)
                    .unwrap();
            let authorization = &signed.iter().find(|(name, _)| name == "authorization").unwrap().1;
            assert!(authorization.ends_with(&format!("Signature={wanted}")), "{authorization}");
        }
    }
}
