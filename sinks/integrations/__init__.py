"""Other people's systems: MQTT, web servers."""
