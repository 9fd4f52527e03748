# A value of haproxystats.conf.
type Haproxystats::Value = Variant[String, Numeric, Boolean]
