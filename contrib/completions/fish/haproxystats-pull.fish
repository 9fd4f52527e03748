# Made from the help text of the program; a test holds this file against it.

complete -c haproxystats-pull -f
complete -c haproxystats-pull -s f -l file -r -F -d 'configuration file with settings'
complete -c haproxystats-pull -s d -l dir -x -a '(__fish_complete_directories)' -d 'directory with additional configuration files'
complete -c haproxystats-pull -s p -l print -d 'show default settings'
complete -c haproxystats-pull -s P -l print-conf -d 'show configuration'
complete -c haproxystats-pull -l check -d 'check configuration and directories, then exit'
complete -c haproxystats-pull -l ask -d 'ask every socket for every family, and print what each lacks'
complete -c haproxystats-pull -l strict -d 'with --check: fail if there is a warning'
complete -c haproxystats-pull -l setup -d 'print a configuration for the HAProxy that runs, or whose files or directories follow, and what that lacks'
complete -c haproxystats-pull -l status -d 'show the status of the running program'
complete -c haproxystats-pull -l json -d 'print the status as JSON'
complete -c haproxystats-pull -l nagios -x -d 'run as a Nagios plug-in; see contrib/nagios'
complete -c haproxystats-pull -s h -l help -d 'show this screen'
complete -c haproxystats-pull -s v -l version -d 'show version'
