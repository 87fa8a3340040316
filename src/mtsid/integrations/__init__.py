"""Adapters for clients in the field: each takes its ids from an `Allocator`, and is otherwise the client as it was.

Each module needs the client that it is named after, and has an extra: `mtsid.integrations.paho` is for
`pip install 'mtsid[paho]'`, `mtsid.integrations.aiocoap` for `pip install 'mtsid[aiocoap]'`. Nothing is imported here.
"""
