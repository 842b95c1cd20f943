"""The conformance kit of AgentFlow: a pytest plugin that runs numbered requirements against one plugin's harness."""
