"""The client inside an app: polls, verifies, tries, confirms, rolls back, personalises; it never raises into the app.

Decisions are pure (:mod:`~headway.device.machine` over :mod:`~headway.device.state`), acting stands at the edge
(:mod:`~headway.device.client`). The Swift client has the same states, events and names.
"""
