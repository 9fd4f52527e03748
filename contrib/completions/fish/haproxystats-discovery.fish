# Made from the help text of the program; a test holds this file against it.

complete -c haproxystats-discovery -f
complete -c haproxystats-discovery -s s -l server -d 'keep the list of servers: source to store'
complete -c haproxystats-discovery -s c -l client -d 'keep HAProxy as the list says: store to HAProxy\'s sockets'
complete -c haproxystats-discovery -s f -l file -r -F -d 'configuration file with settings'
complete -c haproxystats-discovery -s d -l dir -x -a '(__fish_complete_directories)' -d 'directory with additional configuration files'
complete -c haproxystats-discovery -l debug -d 'print messages of every level'
complete -c haproxystats-discovery -l once -d 'one round, then end'
complete -c haproxystats-discovery -l dry-run -d 'print what one round would do and why, change nothing'
complete -c haproxystats-discovery -s p -l print -d 'show default settings'
complete -c haproxystats-discovery -s P -l print-conf -d 'show configuration'
complete -c haproxystats-discovery -l check -d 'check configuration, start nothing'
complete -c haproxystats-discovery -l status -d 'say what can be seen of the running program'
complete -c haproxystats-discovery -l json -d 'the same for programs'
complete -c haproxystats-discovery -l nagios -x -d 'be a plug-in of Nagios; see contrib/nagios'
complete -c haproxystats-discovery -s h -l help -d 'show this screen'
complete -c haproxystats-discovery -s v -l version -d 'show version'
