#!/bin/sh
# Posts each event as JSON: leakwatch --pattern apache2 --on-event 'examples/hooks/webhook.sh URL'
# Needs curl. For chats that want a field "text", see the commented line.
# By way of a pipe: curl would take a text that begins with "@" for the name of a file.
printf '%s' "$LEAKWATCH_JSON" | curl --fail --silent --show-error --max-time 20 --proto '=http,https' \
    --header 'Content-Type: application/json' --data-binary @- --url "$1"
# printf '%s' "$LEAKWATCH_TEXT" | jq --raw-input --slurp '{text: .}' | curl ... --data-binary @- --url "$1"
