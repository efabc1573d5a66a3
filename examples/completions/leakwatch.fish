# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_leakwatch_global_optspecs
    string join \n p/pattern= f/full x/exact u/user= pid= max-processes= procfs= sysfs= i/interval= lead= grace= signal= no-kill reload allow= n/dry-run protect= server= allow-standalone max-extrapolation= format= color= q/quiet v/verbose budget= state-dir= no-state textfile= on-event= config= h/help V/version
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

complete -c leakwatch -n "__fish_leakwatch_needs_command" -s p -l pattern -d 'Trees with a process whose name matches this regular expression (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_needs_command" -s u -l user -d 'Only processes of this effective user, by name or number (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_needs_command" -l pid -d 'Only the trees of these processes (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_needs_command" -l max-processes -d 'Watch at most so many processes, the largest, with 4 kB of memory each' -r
complete -c leakwatch -n "__fish_leakwatch_needs_command" -l procfs -d 'Another root of procfs, such as the host\'s as seen from a container' -r -F
complete -c leakwatch -n "__fish_leakwatch_needs_command" -l sysfs -d 'Another root of sysfs, where that procfs\' cgroups are mounted below its /sys' -r -F
complete -c leakwatch -n "__fish_leakwatch_needs_command" -s i -l interval -d 'Time between samples [shortened as memory nears its end, to no less than 0.25 s]' -r
complete -c leakwatch -n "__fish_leakwatch_needs_command" -l lead -d 'End a leaking worker when memory may end within this time' -r
complete -c leakwatch -n "__fish_leakwatch_needs_command" -l grace -d 'Time a worker gets after the first signal [default: what its server may need, 10 to 70 s]' -r
complete -c leakwatch -n "__fish_leakwatch_needs_command" -l signal -d 'The first signal, instead of the one at which the server\'s workers finish their request' -r
complete -c leakwatch -n "__fish_leakwatch_needs_command" -l allow -d 'Also end workers of this server, although that costs something (postgres: a session; by TERM)' -r
complete -c leakwatch -n "__fish_leakwatch_needs_command" -l protect -d 'Processes whose name or command line matches are never signalled (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_needs_command" -l server -d 'A server that is in no row of `leakwatch servers`, or that is to be treated otherwise (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_needs_command" -l max-extrapolation -d 'How many times longer than it was watched a growth may be extrapolated, 1 to 32' -r
complete -c leakwatch -n "__fish_leakwatch_needs_command" -l format -d 'Lines for people, or JSON Lines' -r -f -a "text\t'One line an event, for people'
json\t'One JSON object an event'"
complete -c leakwatch -n "__fish_leakwatch_needs_command" -l color -d 'Colour the lines [auto: on a terminal, unless NO_COLOR or CLICOLOR=0 is set]' -r -f -a "auto\t'On a terminal'
always\t'Always'
never\t'Never'"
complete -c leakwatch -n "__fish_leakwatch_needs_command" -l budget -d 'Memory granted to each watched tree, as a ceiling of its own (512M, 1.5G; powers of 1024)' -r
complete -c leakwatch -n "__fish_leakwatch_needs_command" -l state-dir -d 'Remember there, from one watch to the next, how large each program grew before it ended' -r -F
complete -c leakwatch -n "__fish_leakwatch_needs_command" -l textfile -d 'Keep metrics in this file (*.prom) for Prometheus\' node_exporter' -r -F
complete -c leakwatch -n "__fish_leakwatch_needs_command" -l on-event -d 'Run this command by `sh -c` for each event that is printed' -r
complete -c leakwatch -n "__fish_leakwatch_needs_command" -l config -d 'Read this configuration only [/etc/leakwatch.toml, /etc/leakwatch.d/*.toml; see leakwatch.toml(5)]' -r -F
complete -c leakwatch -n "__fish_leakwatch_needs_command" -s f -l full -d 'Match the whole command line instead of the name'
complete -c leakwatch -n "__fish_leakwatch_needs_command" -s x -l exact -d 'The expression must match the whole name (with -f: command line)'
complete -c leakwatch -n "__fish_leakwatch_needs_command" -l no-kill -d 'Never send SIGKILL: who ignores the other signals stays'
complete -c leakwatch -n "__fish_leakwatch_needs_command" -l reload -d 'Where workers obey no signal, let their master replace all of them (Apache event: graceful)'
complete -c leakwatch -n "__fish_leakwatch_needs_command" -s n -l dry-run -d 'Say what would be signalled, in the same words, and signal nothing'
complete -c leakwatch -n "__fish_leakwatch_needs_command" -l allow-standalone -d 'A lone leaking process, which nobody would start again, may be ended too'
complete -c leakwatch -n "__fish_leakwatch_needs_command" -s q -l quiet -d 'Say nothing on standard error'
complete -c leakwatch -n "__fish_leakwatch_needs_command" -s v -l verbose -d 'Say more on standard error: the state of all trees once a minute'
complete -c leakwatch -n "__fish_leakwatch_needs_command" -l no-state -d 'Remember nothing from one watch to the next, and read and write no such file'
complete -c leakwatch -n "__fish_leakwatch_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c leakwatch -n "__fish_leakwatch_needs_command" -s V -l version -d 'Print version'
complete -c leakwatch -n "__fish_leakwatch_needs_command" -f -a "check" -d 'Look once, judge with all earlier looks, act, and say what is new (for cron and monitoring)'
complete -c leakwatch -n "__fish_leakwatch_needs_command" -f -a "ceilings" -d 'List every limit that can fail a fork or summon the OOM killer, nearest first'
complete -c leakwatch -n "__fish_leakwatch_needs_command" -f -a "config" -d 'Print the merged configuration, with where each setting comes from'
complete -c leakwatch -n "__fish_leakwatch_needs_command" -f -a "diagnose" -d 'Look at the whole machine for a minute: who leaks, what the logs say, which setting bounds it'
complete -c leakwatch -n "__fish_leakwatch_needs_command" -f -a "record" -d 'Record samples to a file, for `replay`; judges and signals nothing'
complete -c leakwatch -n "__fish_leakwatch_needs_command" -f -a "replay" -d 'Judge a recording: print what watching would have printed'
complete -c leakwatch -n "__fish_leakwatch_needs_command" -f -a "servers" -d 'Show which servers are known, and how their workers are ended'
complete -c leakwatch -n "__fish_leakwatch_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand check" -s p -l pattern -d 'Trees with a process whose name matches this regular expression (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand check" -s u -l user -d 'Only processes of this effective user, by name or number (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand check" -l pid -d 'Only the trees of these processes (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand check" -l max-processes -d 'Watch at most so many processes, the largest, with 4 kB of memory each' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand check" -l procfs -d 'Another root of procfs, such as the host\'s as seen from a container' -r -F
complete -c leakwatch -n "__fish_leakwatch_using_subcommand check" -l sysfs -d 'Another root of sysfs, where that procfs\' cgroups are mounted below its /sys' -r -F
complete -c leakwatch -n "__fish_leakwatch_using_subcommand check" -l lead -d 'End a leaking worker when memory may end within this time' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand check" -l grace -d 'Time a worker gets after the first signal [default: what its server may need, 10 to 70 s]' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand check" -l signal -d 'The first signal, instead of the one at which the server\'s workers finish their request' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand check" -l allow -d 'Also end workers of this server, although that costs something (postgres: a session; by TERM)' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand check" -l protect -d 'Processes whose name or command line matches are never signalled (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand check" -l server -d 'A server that is in no row of `leakwatch servers`, or that is to be treated otherwise (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand check" -l max-extrapolation -d 'How many times longer than it was watched a growth may be extrapolated, 1 to 32' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand check" -l format -d 'Lines for people, or JSON Lines' -r -f -a "text\t'One line an event, for people'
json\t'One JSON object an event'"
complete -c leakwatch -n "__fish_leakwatch_using_subcommand check" -l color -d 'Colour the lines [auto: on a terminal, unless NO_COLOR or CLICOLOR=0 is set]' -r -f -a "auto\t'On a terminal'
always\t'Always'
never\t'Never'"
complete -c leakwatch -n "__fish_leakwatch_using_subcommand check" -l repeat-after -d 'While something is wrong, say so again after this time' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand check" -l budget -d 'Memory granted to each watched tree, as a ceiling of its own (512M, 1.5G; powers of 1024)' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand check" -l state-dir -d 'Remember there, from one watch to the next, how large each program grew before it ended' -r -F
complete -c leakwatch -n "__fish_leakwatch_using_subcommand check" -l history-size -d 'The history is never larger than this (512K, 32M; powers of 1024)' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand check" -l config -d 'Read this configuration only [/etc/leakwatch.toml, /etc/leakwatch.d/*.toml; see leakwatch.toml(5)]' -r -F
complete -c leakwatch -n "__fish_leakwatch_using_subcommand check" -s f -l full -d 'Match the whole command line instead of the name'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand check" -s x -l exact -d 'The expression must match the whole name (with -f: command line)'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand check" -l no-kill -d 'Never send SIGKILL: who ignores the other signals stays'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand check" -l reload -d 'Where workers obey no signal, let their master replace all of them (Apache event: graceful)'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand check" -s n -l dry-run -d 'Say what would be signalled, in the same words, and signal nothing'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand check" -l allow-standalone -d 'A lone leaking process, which nobody would start again, may be ended too'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand check" -s q -l quiet -d 'Say nothing on standard error'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand check" -s v -l verbose -d 'Say more on standard error: the state of all trees once a minute'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand check" -l report-always -d 'Print the state at every run, as monitoring systems want it, and not only when it changed'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand check" -l no-state -d 'Remember nothing from one watch to the next, and read and write no such file'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand ceilings" -s p -l pattern -d 'Trees with a process whose name matches this regular expression (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand ceilings" -s u -l user -d 'Only processes of this effective user, by name or number (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand ceilings" -l pid -d 'Only the trees of these processes (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand ceilings" -l max-processes -d 'Watch at most so many processes, the largest, with 4 kB of memory each' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand ceilings" -l procfs -d 'Another root of procfs, such as the host\'s as seen from a container' -r -F
complete -c leakwatch -n "__fish_leakwatch_using_subcommand ceilings" -l sysfs -d 'Another root of sysfs, where that procfs\' cgroups are mounted below its /sys' -r -F
complete -c leakwatch -n "__fish_leakwatch_using_subcommand ceilings" -l format -d 'A table for people, or one JSON object' -r -f -a "text\t'One line an event, for people'
json\t'One JSON object an event'"
complete -c leakwatch -n "__fish_leakwatch_using_subcommand ceilings" -s f -l full -d 'Match the whole command line instead of the name'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand ceilings" -s x -l exact -d 'The expression must match the whole name (with -f: command line)'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand ceilings" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand config" -l config -d 'Read this configuration only [/etc/leakwatch.toml, /etc/leakwatch.d/*.toml; see leakwatch.toml(5)]' -r -F
complete -c leakwatch -n "__fish_leakwatch_using_subcommand config" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand diagnose" -s p -l pattern -d 'Trees with a process whose name matches this regular expression (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand diagnose" -s u -l user -d 'Only processes of this effective user, by name or number (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand diagnose" -l pid -d 'Only the trees of these processes (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand diagnose" -l max-processes -d 'Watch at most so many processes, the largest, with 4 kB of memory each' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand diagnose" -l procfs -d 'Another root of procfs, such as the host\'s as seen from a container' -r -F
complete -c leakwatch -n "__fish_leakwatch_using_subcommand diagnose" -l sysfs -d 'Another root of sysfs, where that procfs\' cgroups are mounted below its /sys' -r -F
complete -c leakwatch -n "__fish_leakwatch_using_subcommand diagnose" -l for -d 'Look for so long; 0 looks once and judges by the history of checks, ages, sizes and logs alone' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand diagnose" -l recording -d 'Also judge by this recording of the same machine, so that its hours count' -r -F
complete -c leakwatch -n "__fish_leakwatch_using_subcommand diagnose" -l state-dir -d 'Read the histories of checks in this directory' -r -F
complete -c leakwatch -n "__fish_leakwatch_using_subcommand diagnose" -l logs -d 'Read the log files of this directory instead of /var/log, the journal and the kernel\'s messages' -r -F
complete -c leakwatch -n "__fish_leakwatch_using_subcommand diagnose" -l since -d 'How far back to look into logs' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand diagnose" -l format -d 'A report for people, or one JSON object' -r -f -a "text\t'One line an event, for people'
json\t'One JSON object an event'"
complete -c leakwatch -n "__fish_leakwatch_using_subcommand diagnose" -l html -d 'Also write the report as a page, in one file' -r -F
complete -c leakwatch -n "__fish_leakwatch_using_subcommand diagnose" -l write-advice -d 'Write the advised change there, for `patch -p1 -d /`; nothing is changed by leakwatch itself' -r -F
complete -c leakwatch -n "__fish_leakwatch_using_subcommand diagnose" -l color -d 'Colour the report [auto: on a terminal, unless NO_COLOR or CLICOLOR=0 is set]' -r -f -a "auto\t'On a terminal'
always\t'Always'
never\t'Never'"
complete -c leakwatch -n "__fish_leakwatch_using_subcommand diagnose" -s f -l full -d 'Match the whole command line instead of the name'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand diagnose" -s x -l exact -d 'The expression must match the whole name (with -f: command line)'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand diagnose" -l no-state -d 'Read no history of checks'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand diagnose" -s q -l quiet -d 'Show no progress on standard error'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand diagnose" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand record" -s p -l pattern -d 'Trees with a process whose name matches this regular expression (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand record" -s u -l user -d 'Only processes of this effective user, by name or number (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand record" -l pid -d 'Only the trees of these processes (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand record" -l max-processes -d 'Watch at most so many processes, the largest, with 4 kB of memory each' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand record" -l procfs -d 'Another root of procfs, such as the host\'s as seen from a container' -r -F
complete -c leakwatch -n "__fish_leakwatch_using_subcommand record" -l sysfs -d 'Another root of sysfs, where that procfs\' cgroups are mounted below its /sys' -r -F
complete -c leakwatch -n "__fish_leakwatch_using_subcommand record" -s i -l interval -d 'Time between samples [shortened as memory nears its end, to no less than 0.25 s]' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand record" -l samples -d 'Stop after so many samples' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand record" -s f -l full -d 'Match the whole command line instead of the name'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand record" -s x -l exact -d 'The expression must match the whole name (with -f: command line)'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand record" -s q -l quiet -d 'Say nothing on standard error'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand record" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand replay" -l explain -d 'Say why this process got its verdicts, window by window, instead of printing events' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand replay" -l html -d 'Also write what was found as a page, in one file' -r -F
complete -c leakwatch -n "__fish_leakwatch_using_subcommand replay" -l lead -d 'End a leaking worker when memory may end within this time' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand replay" -l grace -d 'Time a worker gets after the first signal [default: what its server may need, 10 to 70 s]' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand replay" -l signal -d 'The first signal, instead of the one at which the server\'s workers finish their request' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand replay" -l allow -d 'Also end workers of this server, although that costs something (postgres: a session; by TERM)' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand replay" -l protect -d 'Processes whose name or command line matches are never signalled (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand replay" -l server -d 'A server that is in no row of `leakwatch servers`, or that is to be treated otherwise (repeatable)' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand replay" -l max-extrapolation -d 'How many times longer than it was watched a growth may be extrapolated, 1 to 32' -r
complete -c leakwatch -n "__fish_leakwatch_using_subcommand replay" -l format -d 'Lines for people, or JSON Lines' -r -f -a "text\t'One line an event, for people'
json\t'One JSON object an event'"
complete -c leakwatch -n "__fish_leakwatch_using_subcommand replay" -l color -d 'Colour the lines [auto: on a terminal, unless NO_COLOR or CLICOLOR=0 is set]' -r -f -a "auto\t'On a terminal'
always\t'Always'
never\t'Never'"
complete -c leakwatch -n "__fish_leakwatch_using_subcommand replay" -l config -d 'Read this configuration only [/etc/leakwatch.toml, /etc/leakwatch.d/*.toml; see leakwatch.toml(5)]' -r -F
complete -c leakwatch -n "__fish_leakwatch_using_subcommand replay" -l no-kill -d 'Never send SIGKILL: who ignores the other signals stays'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand replay" -l reload -d 'Where workers obey no signal, let their master replace all of them (Apache event: graceful)'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand replay" -s n -l dry-run -d 'Say what would be signalled, in the same words, and signal nothing'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand replay" -l allow-standalone -d 'A lone leaking process, which nobody would start again, may be ended too'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand replay" -s q -l quiet -d 'Say nothing on standard error'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand replay" -s v -l verbose -d 'Say more on standard error: the state of all trees once a minute'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand replay" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand servers" -l format -d 'A table for people, or one JSON object' -r -f -a "text\t'One line an event, for people'
json\t'One JSON object an event'"
complete -c leakwatch -n "__fish_leakwatch_using_subcommand servers" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand help; and not __fish_seen_subcommand_from check ceilings config diagnose record replay servers help" -f -a "check" -d 'Look once, judge with all earlier looks, act, and say what is new (for cron and monitoring)'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand help; and not __fish_seen_subcommand_from check ceilings config diagnose record replay servers help" -f -a "ceilings" -d 'List every limit that can fail a fork or summon the OOM killer, nearest first'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand help; and not __fish_seen_subcommand_from check ceilings config diagnose record replay servers help" -f -a "config" -d 'Print the merged configuration, with where each setting comes from'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand help; and not __fish_seen_subcommand_from check ceilings config diagnose record replay servers help" -f -a "diagnose" -d 'Look at the whole machine for a minute: who leaks, what the logs say, which setting bounds it'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand help; and not __fish_seen_subcommand_from check ceilings config diagnose record replay servers help" -f -a "record" -d 'Record samples to a file, for `replay`; judges and signals nothing'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand help; and not __fish_seen_subcommand_from check ceilings config diagnose record replay servers help" -f -a "replay" -d 'Judge a recording: print what watching would have printed'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand help; and not __fish_seen_subcommand_from check ceilings config diagnose record replay servers help" -f -a "servers" -d 'Show which servers are known, and how their workers are ended'
complete -c leakwatch -n "__fish_leakwatch_using_subcommand help; and not __fish_seen_subcommand_from check ceilings config diagnose record replay servers help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
