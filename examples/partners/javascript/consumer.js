// A partner's consumer: reads what the office asks of us and accepts all of it, or declines (BEHAVIOUR=decline).
//
//     npm ci
//     set -a; . ./awo.env; set +a
//     node consumer.js
//
// Three habits make it safe to stop, kill and restart at any moment:
//   1. Remember the ce_id of what was dealt with. The queue may bring an event again; the second time it is dropped.
//   2. Derive the id of a reply from the event it answers. A repeated reply has the same id and takes effect once.
//   3. Commit the position only after the reply was acknowledged. While Kafka is away it waits; whatever else fails ends
//      the program, and started again it goes on where it was.

import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import {
  Consumer, GenericError, ListOffsetTimestamps, MultipleErrors, Producer, stringDeserializers, stringSerializers
} from '@platformatic/kafka'

class NoEvent extends Error {}

const env = process.env
const partner = env.PARTNER_ID
const queue = env.QUEUE ?? `partner.${partner}.referrals.v1`
const replies = env.REPLIES ?? `partner.${partner}.replies.v1`
const groupId = env.GROUP ?? `${partner}.sample`
const stateFile = env.STATE_FILE ?? `${partner}.known`
const OFFERED = 'de.integrationsbuero.referral.offered.v1'
const [answer, facts] = env.BEHAVIOUR === 'decline' ? ['declined', { reason: env.REASON ?? 'capacity' }] : ['accepted', {}]

const office = {
  clientId: `${partner}-sample`,
  bootstrapBrokers: env.KAFKA_BOOTSTRAP.split(','),
  tls: env.KAFKA_CA ? { ca: readFileSync(env.KAFKA_CA) } : {},
  sasl: { mechanism: 'SCRAM-SHA-512', username: env.KAFKA_SASL_USERNAME, password: env.KAFKA_SASL_PASSWORD }
}
const known = new Set(existsSync(stateFile) ? readFileSync(stateFile, 'utf8').split('\n') : [])
const producer = new Producer({ ...office, serializers: stringSerializers, acks: -1, autocreateTopics: false })

let consumer
let events
let stopped = false
for (const signal of ['SIGTERM', 'SIGINT']) {
  process.once(signal, () => {
    stopped = true
    events?.close()
  })
}
while (!stopped) {
  consumer = new Consumer({ ...office, groupId, deserializers: stringDeserializers })
  try {
    await readOn()
  } catch (error) {
    if (!(error instanceof GenericError || error instanceof MultipleErrors)) throw error
    console.log(`Kafka is away or restarts (${error.message}), again in a second`)
    await setTimeout(1000)
  }
  await consumer.close(true).catch(() => {}) // it leaves the group, where that is possible
}
await producer.close()

// From the last committed position.
async function readOn () {
  events = await consumer.consume({
    topics: [queue],
    autocommit: false,
    mode: 'committed',
    fallbackMode: 'earliest', // the first start reads what has waited for us
    sessionTimeout: 10_000
  })
  try {
    for await (const message of events) await takeNoteOf(message)
  } catch (error) {
    if (!error.findBy?.('apiId', 'OFFSET_OUT_OF_RANGE')) throw error
    await leaveLostPositions()
  }
}

async function takeNoteOf (message) {
  try {
    await dealWith(message)
  } catch (error) {
    if (!(error instanceof NoEvent)) throw error
    console.log(`${message.topic}/${message.partition}/${message.offset}: ${error.message}, left`)
  }
  await message.commit()
}

// We were away for longer than the queue keeps events: go on with the oldest that is left.
async function leaveLostPositions () {
  const [first, end] = await Promise.all([ListOffsetTimestamps.EARLIEST, ListOffsetTimestamps.LATEST].map(async timestamp =>
    (await consumer.listOffsets({ topics: [queue], timestamp })).get(queue)))
  const committed = (await consumer.listCommittedOffsets({ topics: consumer.assignments })).get(queue)
  const lost = consumer.assignments.flatMap(({ partitions }) => partitions).filter(partition =>
    committed[partition] >= 0n && (committed[partition] < first[partition] || committed[partition] > end[partition]))
  await consumer.commit({
    offsets: lost.map(partition => ({ topic: queue, partition, offset: first[partition], leaderEpoch: -1 }))
  })
  console.log(`${queue}: position lost in partitions ${lost}, going on with what is left`)
}

// Answer an offer; of everything else only take note. The CloudEvents attributes are headers.
async function dealWith ({ headers, value }) {
  const id = headers.get('ce_id')
  const type = headers.get('ce_type')
  const event = parsed(value)
  if (!id || !type || typeof event !== 'object' || event === null) throw new NoEvent('no event of the office')
  if (type === OFFERED && typeof event.referral_id !== 'string') throw new NoEvent('an offer of nothing')
  if (known.has(id)) return
  if (type === OFFERED) await reply(id, { referral_id: event.referral_id, ...facts })
  appendFileSync(stateFile, `${id}\n`)
  known.add(id)
  console.log(`${headers.get('ce_time')} ${partner} ${type} ${event.referral_id ?? value}`)
}

// Returns when the brokers have it. The key, the referral, keeps our replies to it in order.
async function reply (eventId, event) {
  await producer.send({
    messages: [{
      topic: replies,
      key: event.referral_id,
      value: JSON.stringify(event),
      headers: {
        ce_specversion: '1.0',
        ce_id: `${eventId}-${answer}`,
        ce_source: `/partner/${partner}`,
        ce_type: `de.integrationsbuero.reply.${answer}.v1`,
        ce_subject: event.referral_id,
        ce_time: new Date().toISOString(),
        'content-type': 'application/json'
      }
    }]
  })
}

function parsed (value) {
  try {
    return JSON.parse(value)
  } catch {
    throw new NoEvent('no JSON')
  }
}
