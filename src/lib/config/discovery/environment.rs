//! The environment variables of HSDO.

use crate::config::ini::Ini;
use crate::config::program::{DISCOVERY, DISCOVERY_CLIENT, DISCOVERY_SERVER};

/// Section, option and environment variable of HSDO. What the environment says wins over the file.
pub const ENVIRONMENT: &[(&str, &str, &str)] = &[
    (DISCOVERY, "interval", "INTERVAL"),
    (DISCOVERY, "haproxy-backend-servers-list-size", "HAPROXY_BACKEND_SERVERS_LIST_SIZE"),
    (DISCOVERY, "debug", "DEBUG"),
    (DISCOVERY, "dynamodb-table-name", "DYNAMODB_TABLE_NAME"),
    (DISCOVERY, "aws-default-region", "AWS_DEFAULT_REGION"),
    (DISCOVERY, "exporter-port", "EXPORTER_PORT"),
    (DISCOVERY_SERVER, "mode", "SERVER_MODE"),
    (DISCOVERY_SERVER, "asg-names", "SERVER_ASG_NAMES"),
    (DISCOVERY_SERVER, "consul-api-url", "SERVER_CONSUL_API_URL"),
    (DISCOVERY_SERVER, "consul-service-name", "SERVER_CONSUL_SERVICE_NAME"),
    (DISCOVERY_SERVER, "haproxy-backend-server-min-weight", "SERVER_HAPROXY_BACKEND_SERVER_MIN_WEIGHT"),
    (DISCOVERY_SERVER, "haproxy-backend-server-max-weight", "SERVER_HAPROXY_BACKEND_SERVER_MAX_WEIGHT"),
    (DISCOVERY_SERVER, "haproxy-backend-server-increase-weight", "SERVER_HAPROXY_BACKEND_SERVER_INCREASE_WEIGHT"),
    (
        DISCOVERY_SERVER,
        "haproxy-backend-server-increase-weight-interval",
        "SERVER_HAPROXY_BACKEND_SERVER_INCREASE_WEIGHT_INTERVAL",
    ),
    (DISCOVERY_CLIENT, "haproxy-socket-path", "CLIENT_HAPROXY_SOCKET_PATH"),
    (DISCOVERY_CLIENT, "haproxy-backend-list", "CLIENT_HAPROXY_BACKEND_LIST"),
    (DISCOVERY_CLIENT, "haproxy-backend-name", "CLIENT_HAPROXY_BACKEND_NAME"),
    (DISCOVERY_CLIENT, "haproxy-backend-base-name", "CLIENT_HAPROXY_BACKEND_BASE_NAME"),
    (DISCOVERY_CLIENT, "haproxy-backend-server-port", "CLIENT_HAPROXY_BACKEND_SERVER_PORT"),
    (DISCOVERY_CLIENT, "dedicated-asg", "CLIENT_DEDICATED_ASG"),
    (DISCOVERY_CLIENT, "asg-names", "CLIENT_ASG_NAMES"),
    (DISCOVERY_CLIENT, "haproxy-fallback-backend-name", "CLIENT_HAPROXY_FALLBACK_BACKEND_NAME"),
    (DISCOVERY_CLIENT, "haproxy-fallback-backend-base-name", "CLIENT_HAPROXY_FALLBACK_BACKEND_BASE_NAME"),
    (DISCOVERY_CLIENT, "all-servers-in-fallback-backend", "CLIENT_ALL_SERVERS_IN_FALLBACK_BACKEND"),
    (DISCOVERY_CLIENT, "use-managed-weights-by-hsdo", "CLIENT_USE_MANAGED_WEIGHTS_BY_HSDO"),
];

/// Lays the environment over what files say. A variable that is set to nothing counts as unset, as in the files of HSDO.
pub(crate) fn lay_over(ini: &mut Ini, variable: impl Fn(&str) -> Option<String>) {
    for (section, option, name) in ENVIRONMENT {
        if let Some(value) = variable(name).filter(|value| !value.trim().is_empty()) {
            ini.set(&format!("environment variable {name}"), section, option, value.trim());
        }
    }
}
