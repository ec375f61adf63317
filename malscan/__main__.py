"""Run malscan as `python -m malscan`."""

from malscan.cli import main

if __name__ == "__main__":
    main()
