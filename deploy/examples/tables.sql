-- The tables that the examples read. psql -f deploy/examples/tables.sql

CREATE TABLE tenants (
  name text PRIMARY KEY,
  tier text NOT NULL DEFAULT 'basic',
  settings jsonb NOT NULL DEFAULT '{}',
  updated_at timestamptz NOT NULL DEFAULT now()
);

-- Change detection looks at MAX(updated_at): every write has to move it.
CREATE FUNCTION set_updated_at() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.updated_at = clock_timestamp();
  RETURN NEW;
END
$$;
CREATE TRIGGER set_updated_at BEFORE INSERT OR UPDATE ON tenants
  FOR EACH ROW EXECUTE FUNCTION set_updated_at();

CREATE TABLE apps (
  tenant text NOT NULL REFERENCES tenants,
  name text NOT NULL,
  image text NOT NULL,
  replicas int NOT NULL DEFAULT 1,
  port int NOT NULL DEFAULT 8080,
  PRIMARY KEY (tenant, name)
);

INSERT INTO tenants (name, tier, settings) VALUES
  ('acme', 'premium', '{"theme": "dark", "languages": ["en", "nl"]}'),
  ('globex', 'basic', '{}');
INSERT INTO apps (tenant, name, image, replicas) VALUES
  ('acme', 'shop', 'registry.example/shop:1.4', 2),
  ('globex', 'shop', 'registry.example/shop:1.3', 1);
