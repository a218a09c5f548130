"""One module for each sheet of an analysis. A new visual of a sheet is added here, in the module of the sheet."""
