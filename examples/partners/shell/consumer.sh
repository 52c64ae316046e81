#!/usr/bin/env bash
# A partner's consumer: reads what the office asks of us and accepts all of it, or declines (BEHAVIOUR=decline).
# It needs kcat 1.7 with librdkafka 2.6.1 or newer, jq and awk.
#
#     set -a; . ./awo.env; set +a
#     ./consumer.sh
#
# Three habits make it safe to stop, kill and restart at any moment:
#   1. Remember the ce_id of what was dealt with. The queue may bring an event again; the second time it is dropped.
#   2. Derive the id of a reply from the event it answers. A repeated reply has the same id and takes effect once.
#   3. Move on only after the replies were acknowledged. The position in each partition is a file of our own.
set -euo pipefail
trap 'wait; exit 0' TERM INT

queue=${QUEUE:-partner.$PARTNER_ID.referrals.v1}
replies=${REPLIES:-partner.$PARTNER_ID.replies.v1}
state=${STATE_FILE:-$PARTNER_ID.state}
kcat=${KCAT:-kcat}
case ${BEHAVIOUR:-accept} in
  decline) answer=declined facts=$(jq -n --arg reason "${REASON:-capacity}" '{reason: $reason}') ;;
  *) answer=accepted facts='{}' ;;
esac

umask 077
mkdir -p "$state/$queue"
touch "$state/known"
cat > "$state/office.conf" <<CONF
bootstrap.servers=$KAFKA_BOOTSTRAP
security.protocol=SASL_SSL
sasl.mechanisms=SCRAM-SHA-512
sasl.username=$KAFKA_SASL_USERNAME
sasl.password=$KAFKA_SASL_PASSWORD
${KAFKA_CA:+ssl.ca.location=$KAFKA_CA}
CONF

# One line for each event: its id, its type, what it is about, and for an offer our reply as a CloudEvent in structured mode.
line='
  select(.headers != null and .payload != null)
  | ([.headers | recurse(.[2:]; length > 1) | select(length > 1) | {(.[0]): .[1]}] | add) as $ce
  | select(($ce.ce_id | type) == "string" and ($ce.ce_type | type) == "string")
  | (.payload | fromjson? | objects) as $event
  | if $ce.ce_type != "de.integrationsbuero.referral.offered.v1" then
      [$ce.ce_id, $ce.ce_type, $event.referral_id // ($event | tojson), ""]
    else
      ($event.referral_id | strings) as $referral
      | [$ce.ce_id, $ce.ce_type, $referral, ({
          specversion: "1.0", id: "\($ce.ce_id)-\($answer)", source: "/partner/\($partner)", subject: $referral,
          type: "de.integrationsbuero.reply.\($answer).v1", time: (now | todate), datacontenttype: "application/json",
          data: ({referral_id: $referral} + $facts)
        } | tojson)]
    end
  | map(tostring) | join("\t")'

deal_with() { # a partition
  local position="$state/$queue/$1" batch="$state/batch" new="$state/new" from=beginning
  [[ -s $position ]] && from=$(<"$position")
  # Where the queue keeps nothing from there any more, it is read from the oldest that is left.
  office -C -q -J -e -X auto.offset.reset=earliest -t "$queue" -p "$1" -o "$from" -c 500 > "$batch"
  [[ -s $batch ]] || return 0
  jq -r --arg partner "$PARTNER_ID" --arg answer "$answer" --argjson facts "$facts" "$line" "$batch" |
    awk -F '\t' -v known="$state/known" 'BEGIN { while ((getline id < known) > 0) seen[id] } !($1 in seen) { seen[$1]; print }' > "$new"
  awk -F '\t' '$4 != "" { print $3 "\t" $4 }' "$new" > "$state/answers"
  if [[ -s $state/answers ]]; then
    office -P -t "$replies" -K '\t' -X acks=all -H content-type=application/cloudevents+json < "$state/answers"
  fi
  cut -f 1 "$new" >> "$state/known"
  awk -F '\t' -v partner="$PARTNER_ID" '{ print partner, $2, $3; fflush() }' "$new"
  jq -s 'last.offset + 1' "$batch" > "$position.next"
  mv "$position.next" "$position"
}

office() { # with these options
  "$kcat" -F "$state/office.conf" "$@"
}

# What fails, as while Kafka is away, is tried again from the last position.
until partitions=$(office -L -J -t "$queue" | jq -e '.topics[0].partitions[].partition'); do sleep 1; done
while true; do
  for partition in $partitions; do
    deal_with "$partition" & # in a process of its own, which ends at the first command that fails
    wait $! || sleep 1
  done
  sleep 0.5
done
