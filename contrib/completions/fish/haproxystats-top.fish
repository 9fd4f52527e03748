# Made from the help text of the program; a test holds this file against it.

complete -c haproxystats-top -f
complete -c haproxystats-top -s f -l file -r -F -d 'configuration file with settings'
complete -c haproxystats-top -s d -l dir -x -a '(__fish_complete_directories)' -d 'directory with additional configuration files'
complete -c haproxystats-top -s i -l interval -x -d 'time from one look at the sockets to the next'
complete -c haproxystats-top -l host -x -d 'show this host of [hosts] alone'
complete -c haproxystats-top -l once -d 'print one table instead of the screen, with rates over one interval; with --replay: of the last snapshot'
complete -c haproxystats-top -l json -d 'print JSON instead, one document per interval or snapshot'
complete -c haproxystats-top -l replay -r -F -d 'show stored snapshots: an archive, a directory of snapshots, or a single one'
complete -c haproxystats-top -l from -x -d 'with --replay: snapshots from this time on, in seconds since the epoch or as in 2026-11-30T08:00:00Z or 2026-11-30'
complete -c haproxystats-top -l to -x -d 'with --replay: snapshots before this time'
complete -c haproxystats-top -s p -l print -d 'show default settings'
complete -c haproxystats-top -s P -l print-conf -d 'show configuration'
complete -c haproxystats-top -l check -d 'check configuration, then exit'
complete -c haproxystats-top -l strict -d 'with --check: fail if there is a warning'
complete -c haproxystats-top -s h -l help -d 'show this screen'
complete -c haproxystats-top -s v -l version -d 'show version'
