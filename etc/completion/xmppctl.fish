# Completion of xmppctl for fish: xmppctl itself says what may stand there.
function __xmppctl_words
    set -l before (commandline -opc)
    xmppctl --complete $before[2..-1] (commandline -ct) 2>/dev/null
end
complete -c xmppctl -f -a '(__xmppctl_words)'
complete -c xmppctl -l config -r -F
complete -c xmppctl -l data -r -F
