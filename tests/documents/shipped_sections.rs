//! What haproxystats.conf says beyond the table of options: what it is for, what it sets, and examples of what has no default.

/// A section of the file.
pub struct Section {
    pub name: &'static str,
    /// Whether it is there, and not commented out.
    pub is_there: bool,
    pub about: &'static str,
    /// Options that are not commented out, and their values.
    pub set: &'static [(&'static str, &'static str)],
    /// Values of options that have no default.
    pub examples: &'static [(&'static str, &'static str)],
    /// Further sections, as they are written.
    pub more: &'static str,
}

/// The head of the file.
pub const HEAD: &str = "\
Configuration of haproxystats-pull, haproxystats-process, haproxystats-agent, haproxystats-discovery and haproxystats-top.

Every option is listed. A line such as
    #retries = 1
is commented out: it shows the built-in default, or an example if the comment above says \"Unset by default\". All times are in \
seconds.

Every program checks this file with --check, for example haproxystats-pull --check, which reports all errors and starts nothing. \
docs/configuration.md explains the syntax: a $ in a value is written $$, and a comment needs a line of its own.";

const NOTHING: Section = Section { name: "", is_there: true, about: "", set: &[], examples: &[], more: "" };

/// In the order of the table.
pub const SECTIONS: &[Section] = &[
    Section {
        name: "DEFAULT",
        about: "Options of this section apply to every section that has neither a value nor a built-in default of its own for them.",
        examples: &[("log-format", "json")],
        ..NOTHING
    },
    Section { name: "paths", about: "Names for directories, to be referred to in this file.", ..NOTHING },
    Section {
        name: "pull",
        about: "haproxystats-pull: how HAProxy's sockets are pulled.",
        set: &[("socket-dir", "/run/haproxy")],
        examples: &[
            ("loglevel", "info"),
            ("servers", "unix:///run/haproxy.sock, tcp://127.0.0.1:5555, tcp://[::1]:5555"),
            ("master-sockets", "unix:///run/haproxy-master.sock"),
            ("mark-ended", "true"),
            ("exclude-sockets", "master.sock *.frontend"),
            ("families", "tables certificates"),
            ("latency-table", "latency"),
        ],
        ..NOTHING
    },
    Section {
        name: "process",
        about: "haproxystats-process: what is made of the snapshots. docs/fields.md lists the names for frontend-metrics, \
                backend-metrics, server-metrics and daemon-metrics.",
        // The default is the original's: the mean of processes with traffic, in which one request weighs as much as a thousand. The
        // states of servers are what the dashboards and most alerts begin with.
        set: &[("time-averages", "weighted"), ("status-metrics", "true")],
        examples: &[
            ("loglevel", "info"),
            ("frontend-metrics", "scur stot bin bout hrsp_5xx"),
            ("backend-metrics", "scur stot qcur hrsp_5xx"),
            ("server-metrics", "scur stot qcur hrsp_5xx"),
            ("daemon-metrics", "all"),
            ("exclude-frontends", "/etc/haproxystats-exclude-frontends"),
            ("exclude-backends", "/etc/haproxystats-exclude-backends"),
        ],
        ..NOTHING
    },
    Section {
        name: "graphite",
        about: "Where haproxystats-process sends metrics, and how.",
        examples: &[
            ("servers", "graphite-1.example.com:2003, graphite-2.example.com:2003"),
            ("tls-ca-file", "/etc/haproxystats/ca.pem"),
            ("tls-certificate-file", "/etc/haproxystats/client.pem"),
            ("tls-key-file", "/etc/haproxystats/client.key"),
            ("group-namespace", "flavor"),
            ("group-namespace-double-writes", "false"),
        ],
        ..NOTHING
    },
    Section {
        name: "hosts",
        is_there: false,
        about: "Remote hosts that are pulled by one haproxystats-pull: their metrics are sent under their own names. \
                docs/scaling.md has the details. Not present by default.",
        examples: &[("10.0.0.1", "lb-01 edge"), ("lb-02.example.com", "lb-02 edge")],
        ..NOTHING
    },
    Section {
        name: "frontend-groups",
        is_there: false,
        about: "Groups: name of the group (converted to lower case) = regular expression, which is searched in the names after \
                their dots have been replaced by underscores; a $ is written $$. [graphite] group-namespace must be set. The \
                three sections are not present by default.",
        examples: &[("abc", "^foo-"), ("xyz", "^bar-.*_example_com$$")],
        ..NOTHING
    },
    Section {
        name: "backend-groups",
        is_there: false,
        about: "See [frontend-groups].",
        examples: &[("abc", "^foo-")],
        ..NOTHING
    },
    Section {
        name: "server-groups",
        is_there: false,
        about: "See [frontend-groups]. Requires aggr-server-metrics = true.",
        examples: &[("rack-1", "^r1-")],
        ..NOTHING
    },
    Section {
        name: "local-store",
        is_there: false,
        about: "A local copy of all metrics, for debugging. The presence of the section enables it. Not present by default.",
        ..NOTHING
    },
    Section {
        name: "archive",
        is_there: false,
        about: "The snapshots themselves, kept after delivery, to be sent again some day; docs/archive.md has the details. The \
                presence of the section enables it. Not present by default.",
        ..NOTHING
    },
    Section {
        name: "kafka",
        is_there: false,
        about: "A Kafka topic as a further destination. The presence of the section enables it; docs/kafka.md has the details. Not \
                present by default.",
        examples: &[
            ("cluster", "ams"),
            ("tls-ca-file", "/etc/haproxystats/ca.pem"),
            ("tls-certificate-file", "/etc/haproxystats/client.pem"),
            ("tls-key-file", "/etc/haproxystats/client.key"),
            ("sasl-mechanism", "SCRAM-SHA-512"),
            ("sasl-username", "haproxystats"),
            ("sasl-password-file", "/etc/haproxystats/kafka-password"),
            ("properties-file", "/etc/haproxystats/kafka.properties"),
            ("librdkafka.linger.ms", "100"),
        ],
        ..NOTHING
    },
    Section {
        name: "kafka-source",
        is_there: false,
        about: "A Kafka topic that snapshots are read from, with source = kafka in [process]; docs/kafka.md has the details. Not \
                present by default.",
        examples: &[
            ("tls-ca-file", "/etc/haproxystats/ca.pem"),
            ("tls-certificate-file", "/etc/haproxystats/client.pem"),
            ("tls-key-file", "/etc/haproxystats/client.key"),
            ("sasl-mechanism", "SCRAM-SHA-512"),
            ("sasl-username", "haproxystats"),
            ("sasl-password-file", "/etc/haproxystats/kafka-password"),
            ("properties-file", "/etc/haproxystats/kafka.properties"),
            ("librdkafka.session.timeout.ms", "10000"),
        ],
        ..NOTHING
    },
    Section {
        name: "otlp",
        is_there: false,
        about: "A receiver of OpenTelemetry metrics as a further destination, such as an OpenTelemetry collector. url enables it. Not \
                present by default.",
        examples: &[
            ("url", "https://otel.example.com/v1/metrics"),
            ("headers", "X-Scope-OrgID: team-a"),
            ("headers-file", "/etc/haproxystats/headers"),
            ("bearer-token-file", "/etc/haproxystats/token"),
            ("user", "haproxystats"),
            ("password-file", "/etc/haproxystats/password"),
            ("tls-ca-file", "/etc/haproxystats/ca.pem"),
            ("tls-certificate-file", "/etc/haproxystats/client.pem"),
            ("tls-key-file", "/etc/haproxystats/client.key"),
            ("resource-attributes", "deployment.environment=production"),
        ],
        ..NOTHING
    },
    Section {
        name: "remote-write",
        is_there: false,
        about: "A receiver of Prometheus remote write as a further destination, such as Prometheus, Mimir or VictoriaMetrics. url \
                enables it. Not present by default.",
        examples: &[
            ("url", "https://prometheus.example.com/api/v1/write"),
            ("headers", "X-Scope-OrgID: team-a"),
            ("headers-file", "/etc/haproxystats/headers"),
            ("bearer-token-file", "/etc/haproxystats/token"),
            ("user", "haproxystats"),
            ("password-file", "/etc/haproxystats/password"),
            ("tls-ca-file", "/etc/haproxystats/ca.pem"),
            ("tls-certificate-file", "/etc/haproxystats/client.pem"),
            ("tls-key-file", "/etc/haproxystats/client.key"),
            ("labels", "region=eu-west-1"),
        ],
        ..NOTHING
    },
    Section {
        name: "exporter",
        about: "A metrics page for Prometheus, in every program that reads this file.",
        examples: &[
            ("listen", "127.0.0.1:9101"),
            ("statistics", "true"),
            ("tls-certificate-file", "/etc/haproxystats/page.pem"),
            ("tls-key-file", "/etc/haproxystats/page.key"),
            ("token-file", "/etc/haproxystats/page.token"),
        ],
        more: "\
#[exporter:process]
#listen = 127.0.0.1:9102

#[exporter:agent]
#listen = 127.0.0.1:9103

#[exporter:discovery]
#listen = 127.0.0.1:9104",
        ..NOTHING
    },
    Section {
        name: "agent",
        about: "haproxystats-agent: state and weight of the services of this host, for HAProxy's agent checks. docs/agent.md has \
                the details. The options are the defaults of all services; without [agent:NAME] sections there is one service, \
                with these options. The option names of Datawave's agent, with underscores, are accepted as well.",
        examples: &[
            ("loglevel", "info"),
            ("self-metrics", "false"),
            ("state-file", "/run/haproxystats-agent/state.json"),
            ("allow", "10.0.0.0/8, 192.0.2.1"),
            ("request", "web"),
            ("maxconn", "200"),
            ("staleness-interval", "3"),
            ("override-file", "/etc/haproxystats-agent/override"),
            ("command", "/usr/lib/nagios/plugins/check_disk -w 20% -c 10%"),
            ("check-url", "http://127.0.0.1:8080/health"),
            ("check-socket", "/run/web/health.sock"),
            ("headers-file", "/etc/haproxystats-agent/headers"),
            ("credentials-file", "/etc/haproxystats-agent/credentials"),
            ("tls-ca-file", "/etc/haproxystats-agent/ca.pem"),
            ("tls-certificate-file", "/etc/haproxystats-agent/agent.pem"),
            ("tls-key-file", "/etc/haproxystats-agent/agent.key"),
            ("status-pointer", "/status"),
            ("reductions", "/load 0.4 0 8"),
            ("replica-tags", "zone=a"),
            ("overload-enter", "0.8"),
            ("overload-leave", "0.6"),
        ],
        more: "\
# A service of its own: any of the options above from bind on, for this service alone. Not present
# by default.
#[agent:web]
#port = 5556
#checks = http load file
#check-url = http://127.0.0.1:8080/health
#override-file = /etc/haproxystats-agent/web",
        ..NOTHING
    },
    Section {
        name: "discovery",
        about: "haproxystats-discovery: options that its server and its clients share. docs/discovery.md has the details. The \
                environment variables of HSDO take precedence over this file.",
        examples: &[
            ("loglevel", "info"),
            ("aws-default-region", "eu-west-1"),
            ("exporter-port", "6789"),
            ("store", "file"),
            ("store-url", "http://127.0.0.1:2379"),
            ("store-token-file", "/etc/haproxystats/consul.token"),
            ("store-credentials-file", "/etc/haproxystats/etcd.credentials"),
            ("tls-ca-file", "/etc/haproxystats/ca.pem"),
            ("tls-certificate-file", "/etc/haproxystats/client.pem"),
            ("tls-key-file", "/etc/haproxystats/client.key"),
            ("dynamodb-table-name", "haproxy-service-discovery-orchestrator"),
        ],
        ..NOTHING
    },
    Section {
        name: "discovery-server",
        about: "haproxystats-discovery --server: where servers are found, and how the list of slots follows. Options that one \
                source alone reads name it in parentheses.",
        examples: &[
            ("mode", "file"),
            ("asg-names", "asg-a,asg-b"),
            ("consul-api-url", "http://127.0.0.1:8500"),
            ("consul-service-name", "web"),
            ("consul-token-file", "/etc/haproxystats/consul.token"),
            ("consul-tags", "production"),
            ("consul-datacenter", "dc1"),
            ("dns-names", "web.example.com"),
            ("dns-servers", "127.0.0.1:53"),
            ("source-file", "/etc/haproxystats/servers"),
            ("server-name", "discovery-1"),
        ],
        ..NOTHING
    },
    Section {
        name: "discovery-client",
        about: "haproxystats-discovery --client, next to each HAProxy.",
        examples: &[
            ("haproxy-backend-list", "http-back:mywebapp:80"),
            ("haproxy-backend-name", "http-back2"),
            ("haproxy-backend-base-name", "mywebapp"),
            ("asg-names", "asg-a,asg-b"),
            ("haproxy-fallback-backend-name", "fallback-back"),
            ("haproxy-fallback-backend-base-name", "mywebapp"),
            ("server-state-file", "/var/lib/haproxy/server-state"),
        ],
        ..NOTHING
    },
    Section {
        name: "discovery-backend",
        about: "Defaults of all sections [discovery-backend:NAME], where NAME is a backend of HAProxy.",
        examples: &[
            ("base-name", "mywebapp"),
            ("port", "80"),
            ("asg-names", "asg-a,asg-b"),
            ("fallback", "http-back4"),
        ],
        more: "\
# Backends of HAProxy: any of the options above, for one backend alone. Not present by default.
#[discovery-backend:http-back3]
#base-name = mywebapp
#port = 8080
#[discovery-backend:http-back4]
#base-name = mywebapp",
        ..NOTHING
    },
];
