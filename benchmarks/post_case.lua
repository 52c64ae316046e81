-- wrk: a case a request, each with a source_reference of its own. Arguments: what the references begin with, a token.
local run, number = "", 0

local body = [[{"source_reference": "%s-%d", "channel": "referral", "municipality": "Hattersheim am Main",
"referrer": {"organisation": "Sozialer Dienst", "staff_id": "sw-039"},
"persons": [{"ref": "p1", "relation": "self", "given_name": "Olena", "family_name": "Kovalenko", "gender": "female",
"birth_date": "1985-08-06", "birth_precision": "day", "nationality": "UA"}],
"address": {"street": "Am Markt 1", "postcode": "65795", "town": "Hattersheim am Main"},
"contact": {"phone": "0171 0000000", "email": "olena@example.org", "may_contact_by": ["email"]},
"languages": {"first": "uk", "also": ["en"], "reads": "uk", "german_level": "A1"},
"concerns": [{"code": "german_course", "for_person": "p1"}],
"legal_basis": {"kind": "consent", "covers_partners": "all", "covers_concerns": "all"},
"urgency": "normal"}]]

function init(args)
  run = args[1]
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
  wrk.headers["Authorization"] = "Bearer " .. args[2]
end

function request()
  number = number + 1
  return wrk.format(nil, "/v1/cases", nil, body:format(run, number))
end

function done(summary, latency, requests)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.timeout + errors.status
  print(("\n{\"answers\": %d, \"failed\": %d, \"seconds\": %f}"):format(
    summary.requests, failed, summary.duration / 1e6))
end
