"""Every sentence a visitor reads: `common` for all tabs, then a module a tab."""
