"""``python -m clim_mm``, the command ``clim-mm``."""

from clim_mm.cli.main import main

if __name__ == '__main__':
    main()
