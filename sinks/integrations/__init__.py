"""Other people's systems: MQTT, web servers, and services that tell people.

apprise_target  Messages through Apprise
gathering       Alerts on their way to somebody: until their pictures are there, and the pause of their rule is over
http_target     The web server that batches of events are posted to
mqtt            Counts, zones, lines and alerts over MQTT
mqtt_address    Where an MQTT broker is
mqtt_alerts     What is published over MQTT of alerts and their pictures
mqtt_discovery  Home Assistant's discovery messages
mqtt_link       The connection to an MQTT broker, which may come and go
mqtt_names      Names as parts of MQTT topics and as Home Assistant's identifiers
mqtt_topics     What is published over MQTT
notification    What a person is told of an alert, or of many
notifications   Alerts told to a person, with their picture
spool           Batches that wait on the disk until they are delivered
spool_sender    The thread that delivers what waits in a spool
webhook         Events posted to a web server in batches, again and again until it has taken them
webhook_pictures  Pictures in what is posted to a web server
"""
