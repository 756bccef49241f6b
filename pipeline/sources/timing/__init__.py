"""Media time: when each picture is, whatever its timestamps and its arrival say."""
