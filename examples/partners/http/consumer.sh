#!/usr/bin/env bash
# A partner's consumer without Kafka: asks over HTTP what the office wants of us and accepts all of it, or declines
# (BEHAVIOUR=decline). It needs curl and jq.
#
#     set -a; . ./awo.env; set +a
#     ./consumer.sh
#
# Three habits make it safe to stop, kill and restart at any moment:
#   1. Remember the id of what was dealt with. The feed may bring an event again; the second time it is dropped.
#   2. Derive the id of a reply from the event it answers. A repeated reply has the same id and takes effect once.
#   3. Keep the cursor only after everything before it is dealt with.
set -euo pipefail
trap 'exit 0' TERM INT

door=$GATEWAY_URL/v1/partners/$PARTNER_ID
state=${STATE_FILE:-$PARTNER_ID.http}
[[ ${QUEUE:-} == sandbox.* ]] && sandbox=true || sandbox=false
cursor=$state/cursor.$sandbox
case ${BEHAVIOUR:-accept} in
  decline) answer=declined facts=$(jq -n --arg reason "${REASON:-capacity}" '{reason: $reason}') ;;
  *) answer=accepted facts='{}' ;;
esac

umask 077
mkdir -p "$state"
touch "$state/known"

# One line for each event: its id, its type, what it is about, and for an offer our reply.
line='
  .events[]
  | .id as $id
  | [$id, .type, .subject, (
      if .type != "de.integrationsbuero.referral.offered.v1" then ""
      else {specversion: "1.0", id: "\($id)-\($answer)", type: "de.integrationsbuero.reply.\($answer).v1",
            data: ({referral_id: .data.referral_id} + $facts)} | tojson end)]
  | join("\t")'

sign_in() { # secrets stand in files and not on a command line, which everybody on the machine sees
  printf 'user = "%s:%s"\n' "$OIDC_CLIENT_ID" "$OIDC_CLIENT_SECRET" > "$state/client"
  curl -sS -K "$state/client" -d grant_type=client_credentials "$OIDC_ISSUER/token" |
    jq -r '"header = \"Authorization: Bearer \(.access_token)\""' > "$state/token"
}

call() { # the answer is in a file; returns when there is one that asking again would not change
  local status
  while true; do
    status=$(curl -sS -K "$state/token" -o "$state/body" -w '%{http_code}' "$@") || status=000
    case $status in
      401) sign_in || sleep 1 ;;
      000 | 429 | 5*) sleep 1 ;;
      *) break ;;
    esac
  done
  case $status in 2*) return 0 ;; esac
  echo "$status $(jq -c '[.detail, .errors]' "$state/body")" >&2
  [[ $status == 422 ]] && return 1
  exit 1 # shut out, for instance: what is not dealt with comes again
}

deal_with() { # a page of events
  local id type subject reply
  jq -r --arg answer "$answer" --argjson facts "$facts" "$line" "$1" |
    while IFS=$'\t' read -r id type subject reply; do
      grep -qxF "$id" "$state/known" && continue
      if [[ -n $reply ]]; then # one with a fault (422) will not be better the next time: a person has to look
        call "$door/replies?sandbox=$sandbox" -H 'Content-Type: application/cloudevents+json' -d "$reply" || true
      fi
      echo "$id" >> "$state/known"
      echo "$PARTNER_ID $type $subject"
    done
}

sign_in
while true; do
  after=$([[ -s $cursor ]] && echo "&after=$(< "$cursor")" || true)
  # A cursor that is too old leads nowhere: the guide tells how to start over with what is open.
  call "$door/events?wait=5&sandbox=$sandbox$after"
  mv "$state/body" "$state/page"
  deal_with "$state/page"
  jq -r .next "$state/page" > "$cursor.next"
  mv "$cursor.next" "$cursor"
done
