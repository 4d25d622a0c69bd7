"""Pictures of a run: data in, one PNG file out; import the modules, this package stays light."""
