# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_leakwatch_global_optspecs
    string join \n p/pattern= f/full x/exact u/user= pid= unit= container= max-processes= procfs= sysfs= i/interval= lead= grace= signal= no-kill reload allow= n/dry-run protect= server= allow-standalone restart-unit max-extrapolation= format= color= q/quiet v/verbose budget= reap reap-after= state-dir= no-state textfile= on-event= evidence= config= h/help V/version
end

function __fish_leakwatch_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_leakwatch_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_leakwatch_using_subcommand
    set -l cmd (__fish_leakwatch_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c leakwatch -n "__fish_leakwatch_needs_command" -s p -l pattern -d 'Watch process trees in which a name matches this regular expression (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_needs_command" -s u -l user -d 'Only processes of this effective user, by name or number (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_needs_command" -l pid -d 'Only the trees of these processes (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_needs_command" -l unit -d 'Only processes of this systemd unit (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_needs_command" -l container -d 'Only processes of this container (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_needs_command" -l max-processes -d 'Watch at most this many processes, the largest first; each takes 4 kB of memory' -r
complete -c leakwatch -n "__fish_leakwatch_needs_command" -l procfs -d 'Read this procfs, such as that of the host as seen from a container' -r -F
complete -c leakwatch -n "__fish_leakwatch_needs_command" -l sysfs -d 'Read this sysfs, where the cgroups that belong to that procfs are mounted' -r -F
complete -c leakwatch -n "__fish_leakwatch_needs_command" -s i -l interval -d 'Time between samples [shortened to as little as 0.25 s as memory runs out]' -r
complete -c leakwatch -n "__fish_leakwatch_needs_command" -l lead -d 'End no worker earlier than this before memory may run out' -r
complete -c leakwatch -n "__fish_leakwatch_needs_command" -l grace -d 'Time for a worker to exit after the first signal [default: depends on the server, 10 to 70 s]' -r
complete -c leakwatch -n "__fish_leakwatch_needs_command" -l signal -d 'The first signal, instead of the one that lets the server\'s workers finish their request' -r
complete -c leakwatch -n "__fish_leakwatch_needs_command" -l allow -d 'Also end workers of this server, although that costs something (postgres: a session, ended by TERM), or children of this program, which leakwatch does not know (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_needs_command" -l protect -d 'Never signal processes whose name or command line matches (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_needs_command" -l server -d 'Describe a server that `leakwatch servers` does not list, or treat a listed one differently (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_needs_command" -l max-extrapolation -d 'Extrapolate growth to at most K times as long as it was observed, 1 to 32' -r
complete -c leakwatch -n "__fish_leakwatch_needs_command" -l format -d 'Print lines for people, or JSON Lines' -r -f -a "text\t'Text for people'
json\t'JSON: one object for each event'"
complete -c leakwatch -n "__fish_leakwatch_needs_command" -l color -d 'When to colour the lines [auto: on a terminal, unless NO_COLOR or CLICOLOR=0 is set]' -r -f -a "auto\t'On a terminal'
always\t'Always'
never\t'Never'"
complete -c leakwatch -n "__fish_leakwatch_needs_command" -l budget -d 'Memory budget of each watched tree, as one more ceiling (512M, 1.5G; powers of 1024)' -r
complete -c leakwatch -n "__fish_leakwatch_needs_command" -l reap-after -d 'For --reap, time without running, at least 1m' -r
complete -c leakwatch -n "__fish_leakwatch_needs_command" -l state-dir -d 'Keep in this directory how large each program grew before it ended, and the history of checks' -r -F
complete -c leakwatch -n "__fish_leakwatch_needs_command" -l textfile -d 'Write metrics to this file (*.prom) for Prometheus\' node_exporter' -r -F
complete -c leakwatch -n "__fish_leakwatch_needs_command" -l on-event -d 'Run this command with `sh -c` for each printed event' -r
complete -c leakwatch -n "__fish_leakwatch_needs_command" -l evidence -d 'Keep evidence of each process that is ordered to end, below this directory' -r -F
complete -c leakwatch -n "__fish_leakwatch_needs_command" -l config -d 'Read only this configuration file [/etc/leakwatch.toml, /etc/leakwatch.d/*.toml; see leakwatch.toml(5)]' -r -F
complete -c leakwatch -n "__fish_leakwatch_needs_command" -s f -l full -d 'Match the whole command line instead of the name'
complete -c leakwatch -n "__fish_leakwatch_needs_command" -s x -l exact -d 'Require the expression to match the whole name (with -f: the whole command line)'
complete -c leakwatch -n "__fish_leakwatch_needs_command" -l no-kill -d 'Never send SIGKILL; processes that ignore the other signals keep running'
complete -c leakwatch -n "__fish_leakwatch_needs_command" -l reload -d 'Where workers obey no signal, let their master replace all of them (Apache event: graceful)'
complete -c leakwatch -n "__fish_leakwatch_needs_command" -s n -l dry-run -d 'Print what would be signalled, in the same words, and signal nothing'
complete -c leakwatch -n "__fish_leakwatch_needs_command" -l allow-standalone -d 'Also end a lone leaking process that nothing would restart'
complete -c leakwatch -n "__fish_leakwatch_needs_command" -l restart-unit -d 'Restart the systemd unit of a lone leaking process before memory ends; at most once an hour'
complete -c leakwatch -n "__fish_leakwatch_needs_command" -s q -l quiet -d 'Print nothing on standard error'
complete -c leakwatch -n "__fish_leakwatch_needs_command" -s v -l verbose -d 'Print more on standard error: the state of all trees once a minute'
complete -c leakwatch -n "__fish_leakwatch_needs_command" -l reap -d 'Also end processes that were left behind and are proven useless; needs --pattern'
complete -c leakwatch -n "__fish_leakwatch_needs_command" -l no-state -d 'Remember nothing from one watch to the next: read and write no state files'
complete -c leakwatch -n "__fish_leakwatch_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c leakwatch -n "__fish_leakwatch_needs_command" -s V -l version -d 'Print version'
complete -c leakwatch -n "__fish_leakwatch_needs_command" -f -a "census" -d 'Count the memory that a process has from malloc: does it leak, or is it freed memory that the allocator keeps?'
complete -c leakwatch -n "__fish_leakwatch_needs_command" -f -a "ceilings" -d 'List every limit that can fail a fork or bring the OOM killer, nearest first'
complete -c leakwatch -n "__fish_leakwatch_needs_command" -f -a "check" -d 'Take one sample, judge it with all earlier ones, act, and report what is new (for cron and monitoring)'
complete -c leakwatch -n "__fish_leakwatch_needs_command" -f -a "config" -d 'Print the merged configuration, with the source of each setting'
complete -c leakwatch -n "__fish_leakwatch_needs_command" -f -a "diagnose" -d 'Observe the whole machine for a minute: what leaks, what the logs say, which setting bounds it'
complete -c leakwatch -n "__fish_leakwatch_needs_command" -f -a "evidence" -d 'Print the evidence kept of processes that were ended, as a report for a bug tracker'
complete -c leakwatch -n "__fish_leakwatch_needs_command" -f -a "memory" -d 'Show where all memory of the machine and of cgroups is, and what grows'
complete -c leakwatch -n "__fish_leakwatch_needs_command" -f -a "record" -d 'Record samples to a file for `replay`; judge and signal nothing'
complete -c leakwatch -n "__fish_leakwatch_needs_command" -f -a "replay" -d 'Judge a recording: print what the watch would have printed'
complete -c leakwatch -n "__fish_leakwatch_needs_command" -f -a "servers" -d 'Show the known servers, and how their workers are ended'
complete -c leakwatch -n "__fish_leakwatch_needs_command" -f -a "top" -d 'Show live what grows and when memory ends, or play a recording'
complete -c leakwatch -n "__fish_leakwatch_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand census" -l for -d 'Look several times during this time and tell which block sizes increase; 0 looks once' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand census" -l format -d 'Print a report for people, or one JSON object' -r -f -a "text\t'Text for people'
json\t'JSON: one object'"
complete -c leakwatch -n "__fish_leakwatch_using_subcommand census" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand ceilings" -s p -l pattern -d 'Watch process trees in which a name matches this regular expression (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand ceilings" -s u -l user -d 'Only processes of this effective user, by name or number (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand ceilings" -l pid -d 'Only the trees of these processes (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand ceilings" -l unit -d 'Only processes of this systemd unit (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand ceilings" -l container -d 'Only processes of this container (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand ceilings" -l max-processes -d 'Watch at most this many processes, the largest first; each takes 4 kB of memory' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand ceilings" -l procfs -d 'Read this procfs, such as that of the host as seen from a container' -r -F
complete -c leakwatch -n "__fish_leakwatch_using_subcommand ceilings" -l sysfs -d 'Read this sysfs, where the cgroups that belong to that procfs are mounted' -r -F
complete -c leakwatch -n "__fish_leakwatch_using_subcommand ceilings" -l format -d 'Print a table for people, or one JSON object' -r -f -a "text\t'Text for people'
json\t'JSON: one object'"
complete -c leakwatch -n "__fish_leakwatch_using_subcommand ceilings" -s f -l full -d 'Match the whole command line instead of the name'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand ceilings" -s x -l exact -d 'Require the expression to match the whole name (with -f: the whole command line)'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand ceilings" -s q -l quiet -d 'Print nothing on standard error'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand ceilings" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand check" -s p -l pattern -d 'Watch process trees in which a name matches this regular expression (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand check" -s u -l user -d 'Only processes of this effective user, by name or number (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand check" -l pid -d 'Only the trees of these processes (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand check" -l unit -d 'Only processes of this systemd unit (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand check" -l container -d 'Only processes of this container (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand check" -l max-processes -d 'Watch at most this many processes, the largest first; each takes 4 kB of memory' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand check" -l procfs -d 'Read this procfs, such as that of the host as seen from a container' -r -F
complete -c leakwatch -n "__fish_leakwatch_using_subcommand check" -l sysfs -d 'Read this sysfs, where the cgroups that belong to that procfs are mounted' -r -F
complete -c leakwatch -n "__fish_leakwatch_using_subcommand check" -l lead -d 'End no worker earlier than this before memory may run out' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand check" -l grace -d 'Time for a worker to exit after the first signal [default: depends on the server, 10 to 70 s]' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand check" -l signal -d 'The first signal, instead of the one that lets the server\'s workers finish their request' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand check" -l allow -d 'Also end workers of this server, although that costs something (postgres: a session, ended by TERM), or children of this program, which leakwatch does not know (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand check" -l protect -d 'Never signal processes whose name or command line matches (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand check" -l server -d 'Describe a server that `leakwatch servers` does not list, or treat a listed one differently (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand check" -l max-extrapolation -d 'Extrapolate growth to at most K times as long as it was observed, 1 to 32' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand check" -l format -d 'Print lines for people, or JSON Lines' -r -f -a "text\t'Text for people'
json\t'JSON: one object for each event'"
complete -c leakwatch -n "__fish_leakwatch_using_subcommand check" -l color -d 'When to colour the lines [auto: on a terminal, unless NO_COLOR or CLICOLOR=0 is set]' -r -f -a "auto\t'On a terminal'
always\t'Always'
never\t'Never'"
complete -c leakwatch -n "__fish_leakwatch_using_subcommand check" -l repeat-after -d 'Report a lasting problem again after this time' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand check" -l budget -d 'Memory budget of each watched tree, as one more ceiling (512M, 1.5G; powers of 1024)' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand check" -l state-dir -d 'Keep in this directory how large each program grew before it ended, and the history of checks' -r -F
complete -c leakwatch -n "__fish_leakwatch_using_subcommand check" -l history-size -d 'Maximum size of the history (512K, 32M; powers of 1024)' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand check" -l config -d 'Read only this configuration file [/etc/leakwatch.toml, /etc/leakwatch.d/*.toml; see leakwatch.toml(5)]' -r -F
complete -c leakwatch -n "__fish_leakwatch_using_subcommand check" -s f -l full -d 'Match the whole command line instead of the name'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand check" -s x -l exact -d 'Require the expression to match the whole name (with -f: the whole command line)'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand check" -l no-kill -d 'Never send SIGKILL; processes that ignore the other signals keep running'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand check" -l reload -d 'Where workers obey no signal, let their master replace all of them (Apache event: graceful)'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand check" -s n -l dry-run -d 'Print what would be signalled, in the same words, and signal nothing'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand check" -l allow-standalone -d 'Also end a lone leaking process that nothing would restart'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand check" -l restart-unit -d 'Restart the systemd unit of a lone leaking process before memory ends; at most once an hour'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand check" -s q -l quiet -d 'Print nothing on standard error'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand check" -s v -l verbose -d 'Print more on standard error: the state of all trees once a minute'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand check" -l report-always -d 'Print the state on every run, as monitoring systems expect, instead of only when it changed'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand check" -l no-state -d 'Remember nothing from one watch to the next: read and write no state files'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand check" -l stay -d 'Stay and watch on, until shortly before the next check, while memory may end before that'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand config" -l config -d 'Read only this configuration file [/etc/leakwatch.toml, /etc/leakwatch.d/*.toml; see leakwatch.toml(5)]' -r -F
complete -c leakwatch -n "__fish_leakwatch_using_subcommand config" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand diagnose" -s p -l pattern -d 'Watch process trees in which a name matches this regular expression (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand diagnose" -s u -l user -d 'Only processes of this effective user, by name or number (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand diagnose" -l pid -d 'Only the trees of these processes (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand diagnose" -l unit -d 'Only processes of this systemd unit (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand diagnose" -l container -d 'Only processes of this container (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand diagnose" -l max-processes -d 'Watch at most this many processes, the largest first; each takes 4 kB of memory' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand diagnose" -l procfs -d 'Read this procfs, such as that of the host as seen from a container' -r -F
complete -c leakwatch -n "__fish_leakwatch_using_subcommand diagnose" -l sysfs -d 'Read this sysfs, where the cgroups that belong to that procfs are mounted' -r -F
complete -c leakwatch -n "__fish_leakwatch_using_subcommand diagnose" -l for -d 'Observe for this long; 0 takes one sample and judges by the histories, ages, sizes and logs' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand diagnose" -l recording -d 'Also use this recording of the same machine, so that its hours count' -r -F
complete -c leakwatch -n "__fish_leakwatch_using_subcommand diagnose" -l state-dir -d 'Read the histories of `leakwatch check` from this directory' -r -F
complete -c leakwatch -n "__fish_leakwatch_using_subcommand diagnose" -l logs -d 'Read the log files of this directory instead of /var/log, the journal and the kernel log' -r -F
complete -c leakwatch -n "__fish_leakwatch_using_subcommand diagnose" -l since -d 'Read logs as far back as this' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand diagnose" -l format -d 'Print a report for people, or one JSON object' -r -f -a "text\t'Text for people'
json\t'JSON: one object'"
complete -c leakwatch -n "__fish_leakwatch_using_subcommand diagnose" -l html -d 'Also write the report to this file, as one HTML page' -r -F
complete -c leakwatch -n "__fish_leakwatch_using_subcommand diagnose" -l write-advice -d 'Write the advised change to this file, for `patch -p1 -d /`; leakwatch itself changes nothing' -r -F
complete -c leakwatch -n "__fish_leakwatch_using_subcommand diagnose" -l color -d 'When to colour the report [auto: on a terminal, unless NO_COLOR or CLICOLOR=0 is set]' -r -f -a "auto\t'On a terminal'
always\t'Always'
never\t'Never'"
complete -c leakwatch -n "__fish_leakwatch_using_subcommand diagnose" -l config -d 'Read only this configuration file [/etc/leakwatch.toml, /etc/leakwatch.d/*.toml; see leakwatch.toml(5)]' -r -F
complete -c leakwatch -n "__fish_leakwatch_using_subcommand diagnose" -s f -l full -d 'Match the whole command line instead of the name'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand diagnose" -s x -l exact -d 'Require the expression to match the whole name (with -f: the whole command line)'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand diagnose" -l no-state -d 'Read no histories of checks'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand diagnose" -s q -l quiet -d 'Print nothing on standard error'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand diagnose" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand evidence" -l take -d 'Collect evidence of this process now: keep it in DIR, or print it if no DIR is given' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand evidence" -l mask -d 'Hide the names of machines, users, services and paths'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand evidence" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand memory" -s p -l pattern -d 'Watch process trees in which a name matches this regular expression (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand memory" -s u -l user -d 'Only processes of this effective user, by name or number (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand memory" -l pid -d 'Only the trees of these processes (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand memory" -l unit -d 'Only processes of this systemd unit (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand memory" -l container -d 'Only processes of this container (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand memory" -l max-processes -d 'Watch at most this many processes, the largest first; each takes 4 kB of memory' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand memory" -l procfs -d 'Read this procfs, such as that of the host as seen from a container' -r -F
complete -c leakwatch -n "__fish_leakwatch_using_subcommand memory" -l sysfs -d 'Read this sysfs, where the cgroups that belong to that procfs are mounted' -r -F
complete -c leakwatch -n "__fish_leakwatch_using_subcommand memory" -l for -d 'Observe for this long and tell what grows; 0 looks once' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand memory" -l format -d 'Print a table for people, or one JSON object' -r -f -a "text\t'Text for people'
json\t'JSON: one object'"
complete -c leakwatch -n "__fish_leakwatch_using_subcommand memory" -s f -l full -d 'Match the whole command line instead of the name'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand memory" -s x -l exact -d 'Require the expression to match the whole name (with -f: the whole command line)'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand memory" -s q -l quiet -d 'Print nothing on standard error'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand memory" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand record" -s p -l pattern -d 'Watch process trees in which a name matches this regular expression (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand record" -s u -l user -d 'Only processes of this effective user, by name or number (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand record" -l pid -d 'Only the trees of these processes (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand record" -l unit -d 'Only processes of this systemd unit (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand record" -l container -d 'Only processes of this container (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand record" -l max-processes -d 'Watch at most this many processes, the largest first; each takes 4 kB of memory' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand record" -l procfs -d 'Read this procfs, such as that of the host as seen from a container' -r -F
complete -c leakwatch -n "__fish_leakwatch_using_subcommand record" -l sysfs -d 'Read this sysfs, where the cgroups that belong to that procfs are mounted' -r -F
complete -c leakwatch -n "__fish_leakwatch_using_subcommand record" -s i -l interval -d 'Time between samples [shortened to as little as 0.25 s as memory runs out]' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand record" -l samples -d 'Stop after this many samples' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand record" -s f -l full -d 'Match the whole command line instead of the name'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand record" -s x -l exact -d 'Require the expression to match the whole name (with -f: the whole command line)'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand record" -s q -l quiet -d 'Print nothing on standard error'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand record" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand replay" -l explain -d 'Explain the verdicts on this process, window by window, instead of printing events' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand replay" -l html -d 'Also write the findings to this file, as one HTML page' -r -F
complete -c leakwatch -n "__fish_leakwatch_using_subcommand replay" -l lead -d 'End no worker earlier than this before memory may run out' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand replay" -l grace -d 'Time for a worker to exit after the first signal [default: depends on the server, 10 to 70 s]' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand replay" -l signal -d 'The first signal, instead of the one that lets the server\'s workers finish their request' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand replay" -l allow -d 'Also end workers of this server, although that costs something (postgres: a session, ended by TERM), or children of this program, which leakwatch does not know (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand replay" -l protect -d 'Never signal processes whose name or command line matches (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand replay" -l server -d 'Describe a server that `leakwatch servers` does not list, or treat a listed one differently (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand replay" -l max-extrapolation -d 'Extrapolate growth to at most K times as long as it was observed, 1 to 32' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand replay" -l format -d 'Print lines for people, or JSON Lines' -r -f -a "text\t'Text for people'
json\t'JSON: one object for each event'"
complete -c leakwatch -n "__fish_leakwatch_using_subcommand replay" -l color -d 'When to colour the lines [auto: on a terminal, unless NO_COLOR or CLICOLOR=0 is set]' -r -f -a "auto\t'On a terminal'
always\t'Always'
never\t'Never'"
complete -c leakwatch -n "__fish_leakwatch_using_subcommand replay" -l config -d 'Read only this configuration file [/etc/leakwatch.toml, /etc/leakwatch.d/*.toml; see leakwatch.toml(5)]' -r -F
complete -c leakwatch -n "__fish_leakwatch_using_subcommand replay" -l no-kill -d 'Never send SIGKILL; processes that ignore the other signals keep running'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand replay" -l reload -d 'Where workers obey no signal, let their master replace all of them (Apache event: graceful)'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand replay" -s n -l dry-run -d 'Print what would be signalled, in the same words, and signal nothing'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand replay" -l allow-standalone -d 'Also end a lone leaking process that nothing would restart'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand replay" -l restart-unit -d 'Restart the systemd unit of a lone leaking process before memory ends; at most once an hour'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand replay" -s q -l quiet -d 'Print nothing on standard error'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand replay" -s v -l verbose -d 'Print more on standard error: the state of all trees once a minute'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand replay" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand servers" -l format -d 'Print a table for people, or one JSON object' -r -f -a "text\t'Text for people'
json\t'JSON: one object'"
complete -c leakwatch -n "__fish_leakwatch_using_subcommand servers" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand top" -s p -l pattern -d 'Watch process trees in which a name matches this regular expression (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand top" -s u -l user -d 'Only processes of this effective user, by name or number (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand top" -l pid -d 'Only the trees of these processes (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand top" -l unit -d 'Only processes of this systemd unit (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand top" -l container -d 'Only processes of this container (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand top" -l max-processes -d 'Watch at most this many processes, the largest first; each takes 4 kB of memory' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand top" -l procfs -d 'Read this procfs, such as that of the host as seen from a container' -r -F
complete -c leakwatch -n "__fish_leakwatch_using_subcommand top" -l sysfs -d 'Read this sysfs, where the cgroups that belong to that procfs are mounted' -r -F
complete -c leakwatch -n "__fish_leakwatch_using_subcommand top" -s i -l interval -d 'Time between samples [shortened to as little as 0.25 s as memory runs out]' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand top" -l speed -d 'Play a recording this many times as fast as it was made, 1 to 1000; keys change it' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand top" -l lead -d 'End no worker earlier than this before memory may run out' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand top" -l grace -d 'Time for a worker to exit after the first signal [default: depends on the server, 10 to 70 s]' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand top" -l signal -d 'The first signal, instead of the one that lets the server\'s workers finish their request' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand top" -l allow -d 'Also end workers of this server, although that costs something (postgres: a session, ended by TERM), or children of this program, which leakwatch does not know (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand top" -l protect -d 'Never signal processes whose name or command line matches (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand top" -l server -d 'Describe a server that `leakwatch servers` does not list, or treat a listed one differently (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand top" -l max-extrapolation -d 'Extrapolate growth to at most K times as long as it was observed, 1 to 32' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand top" -l color -d 'When to colour the screen [auto: unless NO_COLOR or CLICOLOR=0 is set]' -r -f -a "auto\t'On a terminal'
always\t'Always'
never\t'Never'"
complete -c leakwatch -n "__fish_leakwatch_using_subcommand top" -l config -d 'Read only this configuration file [/etc/leakwatch.toml, /etc/leakwatch.d/*.toml; see leakwatch.toml(5)]' -r -F
complete -c leakwatch -n "__fish_leakwatch_using_subcommand top" -s f -l full -d 'Match the whole command line instead of the name'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand top" -s x -l exact -d 'Require the expression to match the whole name (with -f: the whole command line)'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand top" -l no-kill -d 'Never send SIGKILL; processes that ignore the other signals keep running'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand top" -l reload -d 'Where workers obey no signal, let their master replace all of them (Apache event: graceful)'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand top" -s n -l dry-run -d 'Print what would be signalled, in the same words, and signal nothing'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand top" -l allow-standalone -d 'Also end a lone leaking process that nothing would restart'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand top" -l restart-unit -d 'Restart the systemd unit of a lone leaking process before memory ends; at most once an hour'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand top" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand help; and not __fish_seen_subcommand_from census ceilings check config diagnose evidence memory record replay servers top help" -f -a "census" -d 'Count the memory that a process has from malloc: does it leak, or is it freed memory that the allocator keeps?'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand help; and not __fish_seen_subcommand_from census ceilings check config diagnose evidence memory record replay servers top help" -f -a "ceilings" -d 'List every limit that can fail a fork or bring the OOM killer, nearest first'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand help; and not __fish_seen_subcommand_from census ceilings check config diagnose evidence memory record replay servers top help" -f -a "check" -d 'Take one sample, judge it with all earlier ones, act, and report what is new (for cron and monitoring)'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand help; and not __fish_seen_subcommand_from census ceilings check config diagnose evidence memory record replay servers top help" -f -a "config" -d 'Print the merged configuration, with the source of each setting'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand help; and not __fish_seen_subcommand_from census ceilings check config diagnose evidence memory record replay servers top help" -f -a "diagnose" -d 'Observe the whole machine for a minute: what leaks, what the logs say, which setting bounds it'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand help; and not __fish_seen_subcommand_from census ceilings check config diagnose evidence memory record replay servers top help" -f -a "evidence" -d 'Print the evidence kept of processes that were ended, as a report for a bug tracker'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand help; and not __fish_seen_subcommand_from census ceilings check config diagnose evidence memory record replay servers top help" -f -a "memory" -d 'Show where all memory of the machine and of cgroups is, and what grows'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand help; and not __fish_seen_subcommand_from census ceilings check config diagnose evidence memory record replay servers top help" -f -a "record" -d 'Record samples to a file for `replay`; judge and signal nothing'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand help; and not __fish_seen_subcommand_from census ceilings check config diagnose evidence memory record replay servers top help" -f -a "replay" -d 'Judge a recording: print what the watch would have printed'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand help; and not __fish_seen_subcommand_from census ceilings check config diagnose evidence memory record replay servers top help" -f -a "servers" -d 'Show the known servers, and how their workers are ended'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand help; and not __fish_seen_subcommand_from census ceilings check config diagnose evidence memory record replay servers top help" -f -a "top" -d 'Show live what grows and when memory ends, or play a recording'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand help; and not __fish_seen_subcommand_from census ceilings check config diagnose evidence memory record replay servers top help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
