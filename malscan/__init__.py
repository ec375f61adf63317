"""Batch screening of red blood cell images for malaria parasites. Research use only."""

import logging

__version__ = "0.1.0"

# Who uses this as a library decides where its log goes; without a word, nowhere.
logging.getLogger(__name__).addHandler(logging.NullHandler())
