# Made from the help text of the program; a test holds this file against it.

complete -c haproxystats-process -f
complete -c haproxystats-process -s f -l file -r -F -d 'configuration file with settings'
complete -c haproxystats-process -s d -l dir -x -a '(__fish_complete_directories)' -d 'directory with additional configuration files'
complete -c haproxystats-process -s p -l print -d 'show default settings'
complete -c haproxystats-process -s P -l print-conf -d 'show configuration'
complete -c haproxystats-process -l check -d 'check configuration and directories, start nothing'
complete -c haproxystats-process -l once -x -a '(__fish_complete_directories)' -d 'process one directory of statistics, print its metrics, remove nothing, send nothing'
complete -c haproxystats-process -l status -d 'say what can be seen of the running program'
complete -c haproxystats-process -l json -d 'the same for programs'
complete -c haproxystats-process -l nagios -x -d 'be a plug-in of Nagios; see contrib/nagios'
complete -c haproxystats-process -s h -l help -d 'show this screen'
complete -c haproxystats-process -s v -l version -d 'show version'
