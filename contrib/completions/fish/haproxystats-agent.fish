# Made from the help text of the program; a test holds this file against it.

complete -c haproxystats-agent -f
complete -c haproxystats-agent -s f -l file -r -F -d 'configuration file with settings'
complete -c haproxystats-agent -s d -l dir -x -a '(__fish_complete_directories)' -d 'directory with additional configuration files'
complete -c haproxystats-agent -l skip-config -d 'use the defaults, read no configuration file'
complete -c haproxystats-agent -s b -l bind -x -d 'address to listen on, instead of that in [agent]'
complete -c haproxystats-agent -l port -x -d 'port to listen on, instead of that in [agent]'
complete -c haproxystats-agent -s p -l print -d 'show default settings'
complete -c haproxystats-agent -s P -l print-conf -d 'show configuration'
complete -c haproxystats-agent -l check -d 'check configuration, then exit'
complete -c haproxystats-agent -l strict -d 'with --check: fail if there is a warning'
complete -c haproxystats-agent -l explain -x -d 'explain what HAProxy does with an answer, then exit'
complete -c haproxystats-agent -l import-datawave -r -F -d 'print a config.yml of datawave_haproxy_agent as an [agent] section, then exit'
complete -c haproxystats-agent -l status -d 'show the status of the running program'
complete -c haproxystats-agent -l json -d 'print the status as JSON'
complete -c haproxystats-agent -l nagios -x -d 'run as a Nagios plug-in; see contrib/nagios'
complete -c haproxystats-agent -s h -l help -d 'show this screen'
complete -c haproxystats-agent -s v -l version -d 'show version'
