"""How TensorFlow is set up to run a network on a processor."""

from __future__ import annotations

from typing import Any

from pipeline.models.engines.quiet_tensorflow import tf

# What TensorFlow's graph optimiser would try besides the fusion we want. On a graph whose constants are all of its size
# each costs a copy of the weights, and together most of the time to the first result; none changes the running time.
_SUPERFLUOUS_OPTIMIZERS = (
    "arithmetic_optimization",
    "auto_mixed_precision",
    "common_subgraph_elimination",
    "constant_folding",
    "debug_stripper",
    "dependency_optimization",
    "function_optimization",
    "implementation_selector",
    "layout_optimizer",
    "loop_optimization",
    "pin_to_host_optimization",
    "scoped_allocator_optimization",
    "shape_optimization",
)


def session_config(threads: int, device: str) -> Any:
    config = tf.compat.v1.ConfigProto(
        intra_op_parallelism_threads=threads,
        # The layers of a batch run one after another; so that several batches do at once, each needs one.
        inter_op_parallelism_threads=threads,
        use_per_session_threads=True,
        device_count={} if device == "gpu" else {"GPU": 0},
    )
    # Take of a GPU's memory what is needed, not all of it, which other programs may want too.
    config.gpu_options.allow_growth = True
    options = config.graph_options.rewrite_options
    for name in _SUPERFLUOUS_OPTIMIZERS:
        setattr(options, name, options.OFF)
    options.memory_optimization = options.NO_MEM_OPT
    options.disable_model_pruning = True
    options.meta_optimizer_iterations = options.ONE
    options.remapping = options.ON
    return config
