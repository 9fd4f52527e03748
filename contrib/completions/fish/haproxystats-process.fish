# Made from the help text of the program; a test holds this file against it.

complete -c haproxystats-process -f
complete -c haproxystats-process -s f -l file -r -F -d 'configuration file with settings'
complete -c haproxystats-process -s d -l dir -x -a '(__fish_complete_directories)' -d 'directory with additional configuration files'
complete -c haproxystats-process -s p -l print -d 'show default settings'
complete -c haproxystats-process -s P -l print-conf -d 'show configuration'
complete -c haproxystats-process -l check -d 'check configuration and directories, then exit'
complete -c haproxystats-process -l once -x -a '(__fish_complete_directories)' -d 'process one snapshot directory and print its metrics; send and remove nothing'
complete -c haproxystats-process -l status -d 'show the status of the running program'
complete -c haproxystats-process -l json -d 'print the status as JSON'
complete -c haproxystats-process -l nagios -x -d 'run as a Nagios plug-in; see contrib/nagios'
complete -c haproxystats-process -s h -l help -d 'show this screen'
complete -c haproxystats-process -s v -l version -d 'show version'
