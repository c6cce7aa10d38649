"""Tools that others serve: an MCP server's, a Space's, LangChain's. Each module makes smolagents tools of them."""
