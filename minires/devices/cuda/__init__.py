"""GPUs by NVIDIA, through CuPy."""
