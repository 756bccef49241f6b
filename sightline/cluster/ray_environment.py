"""What Ray is to do seldom, or not at all: settings that it takes from the environment of who starts a part of it."""

from __future__ import annotations

import os
from collections.abc import Mapping

RAY_ENVIRONMENT: Mapping[str, str] = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # Figures and a history of calls that nobody here looks at.
    "RAY_enable_metrics_collection": "0",
    "RAY_task_events_report_interval_ms": "0",
    # What is looked after up to ten times a second for many short tasks and their data. Here are some processes that
    # run for months, and nothing in the object store.
    "RAY_memory_monitor_refresh_ms": "1000",
    "RAY_raylet_report_resources_period_milliseconds": "1000",
    "RAY_raylet_check_gc_period_milliseconds": "1000",
    "RAY_object_manager_timer_freq_ms": "1000",
    "RAY_gcs_pull_resource_loads_period_milliseconds": "10000",
    "RAY_io_context_monitor_probe_interval_ms": "10000",
}
"""As docs/cluster.md has it for ``ray start``."""


def use_ray_environment() -> None:
    """Have Ray, as far as it is started by this process, use these, but for those that are set already."""
    for name, value in RAY_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
