"""Batch screening of red blood cell images for malaria parasites. Research use only."""

__version__ = "0.1.0"
