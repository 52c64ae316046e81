"""What operators can see of a running service, in Prometheus' words. Durations in seconds."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

_FAST: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)

BATCH_RECORDS: Final = Histogram(
    "wegweiser_batch_records", "Records handled in one batch", buckets=(1, 2, 5, 10, 25, 50, 100, 250, 500, 1000)
)
BATCH_SECONDS: Final = Histogram("wegweiser_batch_seconds", "Time one batch took, until its offsets", buckets=_FAST)
HOP_SECONDS: Final = Histogram(
    "wegweiser_hop_seconds", "From the time a record was written to the time its effect was published", buckets=_FAST
)
GROUP_REQUESTS: Final = Histogram(
    "wegweiser_group_requests", "Requests that shared one transaction", buckets=(1, 2, 4, 8, 16, 32, 64, 128)
)
IGNORED: Final = Counter("wegweiser_ignored_total", "Records of a type that is not for this service", ["type"])
UNKNOWN_FIELDS: Final = Counter("wegweiser_unknown_fields_total", "Events with fields a newer writer added", ["type"])
DUPLICATES: Final = Counter("wegweiser_duplicates_total", "Records whose effect had taken place before")
DEAD_LETTERS: Final = Counter("wegweiser_dead_letters_total", "Records set aside", ["reason"])
EVENTS_TOLD: Final = Counter("wegweiser_events_told_total", "Events that were decided and stored, to be told", ["type"])
LOST_RACES: Final = Counter("wegweiser_lost_races_total", "Decisions made again because another writer was first")
BACK_OFFS: Final = Counter("wegweiser_back_offs_total", "Batches put back because a backend was away", ["error"])
PUBLISHED: Final = Counter("wegweiser_published_total", "Events the broker acknowledged", ["topic"])
UNSENT_SECONDS: Final = Gauge("wegweiser_outbox_age_seconds", "Age of the oldest event not yet acknowledged")
SLOWED_DOWN: Final = Counter("wegweiser_slowed_down_total", "Times a topic had to wait for its pace", ["topic"])
LAG: Final = Gauge("wegweiser_lag_records", "Records between the group's position and the end", ["topic", "partition"])
WEBHOOK_ATTEMPTS: Final = Counter("wegweiser_webhook_attempts_total", "Attempts at a webhook delivery", ["outcome"])
WEBHOOKS_DISABLED: Final = Counter("wegweiser_webhooks_disabled_total", "Webhooks given up", ["partner", "reason"])
