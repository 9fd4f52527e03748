# @summary Installs haproxystats, configures it, and runs the selected programs.
#
# @example Metrics of all HAProxy processes of this host to a Graphite
#   class { 'haproxystats':
#     settings => {
#       'pull'     => { 'socket-dir' => '/run/haproxy' },
#       'graphite' => { 'server' => 'graphite.example.com', 'port' => 2003 },
#     },
#   }
#
# @param settings
#   haproxystats.conf as sections, options and values. The options are those of docs/configuration.md; a catalog
#   with another one does not compile.
# @param agents
#   The services of haproxystats-agent: options of the sections [agent:NAME] by NAME.
# @param backends
#   The backends of haproxystats-discovery: options of the sections [discovery-backend:NAME] by NAME.
# @param services
#   The programs to run; the others are stopped.
# @param package_name
#   Name of the package.
# @param package_source
#   Path of a package file, for hosts without a repository that has the package.
# @param version
#   Version of the package, or installed, or latest. With package_source: installed.
# @param process_cpu_affinity
#   CPUs of haproxystats-process. Unset: the last ones, as many as there are workers. HAProxy should be pinned to the
#   others.
# @param pull_cpu_affinity
#   CPUs of haproxystats-pull. Unset: the last one.
# @param process_nice
#   Nice value of haproxystats-process.
class haproxystats (
  Haproxystats::Settings $settings = {},
  Hash[String[1], Haproxystats::Agent] $agents = {},
  Hash[String[1], Haproxystats::Backend] $backends = {},
  Array[Enum['pull', 'process', 'agent', 'discovery-server', 'discovery-client']] $services = ['pull', 'process'],
  String[1] $package_name = 'haproxystats',
  Optional[Pattern[/\A\//]] $package_source = undef,
  String[1] $version = 'installed',
  Optional[Array[Integer[0]]] $process_cpu_affinity = undef,
  Optional[Array[Integer[0]]] $pull_cpu_affinity = undef,
  Integer[-20, 19] $process_nice = 0,
) {
  $count = Integer($facts['processors']['count'])
  $workers = min($count, Integer($settings.dig('process', 'workers').lest || { 4 }))
  $last = Integer[$count - $workers, $count - 1].map |$cpu| { $cpu }

  $package_options = $package_source ? {
    undef    => {},
    /\.deb\z/ => { 'source' => $package_source, 'provider' => 'dpkg' },
    default  => { 'source' => $package_source, 'provider' => 'rpm' },
  }
  package { $package_name:
    ensure => $version,
    *      => $package_options,
  }

  $check = {
    'pull'             => 'haproxystats-pull --check',
    'process'          => 'haproxystats-process --check',
    'agent'            => 'haproxystats-agent --check',
    'discovery-server' => 'haproxystats-discovery --server --check',
    'discovery-client' => 'haproxystats-discovery --client --check',
  }
  $checks = $services.map |$program| { "/usr/bin/${check[$program]} -f \"\$0\"" }.join(' && ')

  $named = $agents.map |$name, $options| { ["agent:${name}", $options] }
    + $backends.map |$name, $options| { ["discovery-backend:${name}", $options] }
  file { '/etc/haproxystats.conf':
    ensure       => file,
    owner        => 'root',
    group        => 'root',
    mode         => '0644',
    content      => epp('haproxystats/haproxystats.conf.epp', { 'sections' => $settings + Hash($named) }),
    # By every program that is to run, and before the file takes the place of the old one.
    validate_cmd => "/bin/sh -c '${checks}' %",
    require      => Package[$package_name],
  }

  $cpus = {
    'pull'    => $pull_cpu_affinity.lest || { [$count - 1] },
    'process' => $process_cpu_affinity.lest || { $last },
  }
  $nice = { 'pull' => 0, 'process' => $process_nice }
  $cpus.each |$program, $list| {
    $directory = "/etc/systemd/system/haproxystats-${program}.service.d"
    file { $directory:
      ensure => directory,
      owner  => 'root',
      group  => 'root',
      mode   => '0755',
    }
    file { "${directory}/resources.conf":
      ensure  => file,
      owner   => 'root',
      group   => 'root',
      mode    => '0644',
      content => epp('haproxystats/resources.conf.epp', { 'cpus' => $list, 'nice' => $nice[$program] }),
      notify  => [Exec['haproxystats daemon-reload'], Service["haproxystats-${program}"]],
    }
  }
  exec { 'haproxystats daemon-reload':
    command     => 'systemctl daemon-reload',
    path        => ['/usr/bin', '/bin'],
    refreshonly => true,
    require     => Package[$package_name],
  }

  ['pull', 'process', 'agent', 'discovery-server', 'discovery-client'].each |$program| {
    $wanted = $program in $services
    $state = $wanted ? { true => running, default => stopped }
    service { "haproxystats-${program}":
      ensure    => $state,
      enable    => $wanted,
      require   => [Exec['haproxystats daemon-reload'], File['/etc/haproxystats.conf']],
      subscribe => Package[$package_name],
    }
    if $wanted {
      exec { "haproxystats reload ${program}":
        command     => "systemctl reload-or-restart haproxystats-${program}",
        path        => ['/usr/bin', '/bin'],
        refreshonly => true,
        subscribe   => File['/etc/haproxystats.conf'],
        require     => Service["haproxystats-${program}"],
      }
    }
  }
}
