"""Deliveries to partners' own addresses: kept, signed, sent in order, and never to where no partner may reach."""
