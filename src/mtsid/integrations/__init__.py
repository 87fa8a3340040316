"""Adapters between mtsid and packages in the field.

Each module needs the package that it is named after, and has an extra: `pip install 'mtsid[paho]'`, `'mtsid[aiocoap]'`,
`'mtsid[prometheus]'`. The clients take their ids from an `Allocator`, and are otherwise as they were. Nothing is
imported here.
"""
