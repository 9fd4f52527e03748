# Options of [discovery-backend] and [discovery-backend:NAME]. Made from the table of options by tests/documents/deployment_options.rs.
type Haproxystats::Backend = Struct[{
  Optional['base-name'] => Haproxystats::Value,
  Optional['port'] => Haproxystats::Value,
  Optional['mode'] => Enum['template', 'dynamic'],
  Optional['asg-names'] => Haproxystats::Value,
  Optional['fallback'] => Haproxystats::Value,
  Optional['server-options'] => Haproxystats::Value,
}]
