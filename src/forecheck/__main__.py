"""`python -m forecheck`, and `torchrun -m forecheck`."""

from forecheck.cli.start import run

if __name__ == "__main__":
    run()
