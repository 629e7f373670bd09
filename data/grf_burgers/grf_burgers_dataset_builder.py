"""The entry point that TensorFlow Datasets looks for; the builder lives in `hop.datasets`."""

from hop.datasets import GrfBurgers as Builder

__all__ = ["Builder"]
