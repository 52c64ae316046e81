"""The partners' way in and out without Kafka: a feed, replies, webhooks, and a look at how they stand (ADR 11)."""
