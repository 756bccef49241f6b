"""A configured run: the pipeline, what takes commands meanwhile, and the report at its end."""

from __future__ import annotations

from contextlib import ExitStack

from pipeline.runtime.pipeline import Pipeline
from pipeline.runtime.report import Report
from sightline.composition.control import build_control
from sightline.composition.reload import Reloader
from sightline.config.schema import Config, ResolvedStream
from sinks.output_files import Claim, OutputFile


def run_configured(config: Config, pipeline: Pipeline, reloader: Reloader[ResolvedStream]) -> Report:
    """Run a pipeline that was built from a configuration, with its control socket, and write its report.

    Raises:
        PipelineError: as ``Pipeline.run``; another run writes the report, or the socket can't be had.
    """
    report = config.output.report
    # The report comes last; that no other run writes the same one must be known now.
    claim = Claim(report) if report is not None else None
    try:
        with ExitStack() as stack:
            if control := build_control(config, pipeline, reloader):
                stack.enter_context(control)
            return pipeline.run()
    finally:
        if report is not None and claim is not None:
            if pipeline.report is not None:
                with OutputFile(report, claim=claim) as file:
                    file.write(pipeline.report.to_json())
            claim.release()
