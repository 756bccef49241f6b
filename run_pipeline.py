"""Sightline's command line; ``sightline.commands`` has the commands."""

from __future__ import annotations

from sightline.commands.main import end_process, main

if __name__ == "__main__":
    end_process(main())
