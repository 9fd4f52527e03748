# Made from the help text of the program; a test holds this file against it.

complete -c haproxystats-agent -f
complete -c haproxystats-agent -s f -l file -r -F -d 'configuration file with settings'
complete -c haproxystats-agent -s d -l dir -x -a '(__fish_complete_directories)' -d 'directory with additional configuration files'
complete -c haproxystats-agent -l skip-config -d 'read no configuration file, take the defaults'
complete -c haproxystats-agent -s b -l bind -x -d 'address to listen on, over that of [agent]'
complete -c haproxystats-agent -l port -x -d 'port to listen on, over that of [agent]'
complete -c haproxystats-agent -s p -l print -d 'show default settings'
complete -c haproxystats-agent -s P -l print-conf -d 'show configuration'
complete -c haproxystats-agent -l check -d 'check configuration, start nothing'
complete -c haproxystats-agent -l explain -x -d 'say what HAProxy does with an answer, start nothing'
complete -c haproxystats-agent -l import-datawave -r -F -d 'print a config.yml of datawave_haproxy_agent as the section [agent], start nothing'
complete -c haproxystats-agent -l status -d 'say what can be seen of the running program'
complete -c haproxystats-agent -l json -d 'the same for programs'
complete -c haproxystats-agent -l nagios -x -d 'be a plug-in of Nagios; see contrib/nagios'
complete -c haproxystats-agent -s h -l help -d 'show this screen'
complete -c haproxystats-agent -s v -l version -d 'show version'
