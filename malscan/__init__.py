"""Batch screening of red blood cell images for malaria parasites. Research use only."""

import logging
import os
from pathlib import Path

__version__ = "0.1.0"

# Keras reads its settings from the user's home, or where that cannot be written, from a folder
# that everybody can write to. No probability may depend on them.
os.environ["KERAS_HOME"] = str(Path(__file__).parent / "keras_home")
os.environ["KERAS_BACKEND"] = "tensorflow"

# TensorFlow computes with oneDNN by itself only where the processor has AVX512-VNNI, and gives the
# memory of each batch back, so that the kernel has to clear it for the next one.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPU_ALLOCATOR_USE_BFC", "true")

# Who uses this as a library decides where its log goes; without a word, nowhere.
logging.getLogger(__name__).addHandler(logging.NullHandler())
