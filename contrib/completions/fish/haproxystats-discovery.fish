# Made from the help text of the program; a test holds this file against it.

complete -c haproxystats-discovery -f
complete -c haproxystats-discovery -s s -l server -d 'maintain the list of servers: source to store'
complete -c haproxystats-discovery -s c -l client -d 'apply the list to HAProxy: store to HAProxy\'s sockets'
complete -c haproxystats-discovery -s f -l file -r -F -d 'configuration file with settings'
complete -c haproxystats-discovery -s d -l dir -x -a '(__fish_complete_directories)' -d 'directory with additional configuration files'
complete -c haproxystats-discovery -l debug -d 'log messages of every level'
complete -c haproxystats-discovery -l once -d 'do one round, then exit'
complete -c haproxystats-discovery -l dry-run -d 'print what one round would do and why; change nothing'
complete -c haproxystats-discovery -s p -l print -d 'show default settings'
complete -c haproxystats-discovery -s P -l print-conf -d 'show configuration'
complete -c haproxystats-discovery -l check -d 'check configuration, then exit'
complete -c haproxystats-discovery -l strict -d 'with --check: fail if there is a warning'
complete -c haproxystats-discovery -l status -d 'show the status of the running program'
complete -c haproxystats-discovery -l json -d 'print the status as JSON'
complete -c haproxystats-discovery -l nagios -x -d 'run as a Nagios plug-in; see contrib/nagios'
complete -c haproxystats-discovery -s h -l help -d 'show this screen'
complete -c haproxystats-discovery -s v -l version -d 'show version'
