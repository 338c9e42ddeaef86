CREATE TABLE "Kunden" (id INTEGER PRIMARY KEY, "Name" TEXT NOT NULL, "größe" INTEGER, "select" TEXT, "e-mail" TEXT UNIQUE, password_hash TEXT, "new
line" TEXT, "$cost${X}" NUMERIC(10,2), created_at TIMESTAMP);
CREATE TABLE "Order" ("shop id" TEXT NOT NULL, "No." INTEGER NOT NULL, customer INTEGER NOT NULL REFERENCES "Kunden", "in" TEXT, total DECIMAL(10,2), "true" BOOLEAN, placed DATE, PRIMARY KEY ("shop id", "No."));
CREATE INDEX order_customer ON "Order" (customer);
CREATE TABLE makers (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES makers);
CREATE INDEX makers_parent ON makers (parent);
CREATE TABLE "a.b: {c}" (id INTEGER PRIMARY KEY, code TEXT NOT NULL UNIQUE, "yes" TEXT, maker INTEGER REFERENCES makers);
CREATE INDEX abc_maker ON "a.b: {c}" (maker);
CREATE TABLE products (sku TEXT PRIMARY KEY, title TEXT, "null" TEXT, series_code TEXT REFERENCES "a.b: {c}" (code), photo BYTEA);
CREATE INDEX products_series ON products (series_code);
CREATE TABLE "order lines" ("shop id" TEXT NOT NULL, "order no" INTEGER NOT NULL, pos INTEGER NOT NULL, sku TEXT NOT NULL REFERENCES products, "qty %" INTEGER, "it's ""price""" DECIMAL(10,2), "access token" TEXT, PRIMARY KEY ("shop id", "order no", pos), FOREIGN KEY ("shop id", "order no") REFERENCES "Order" ("shop id", "No."));
CREATE INDEX lines_sku ON "order lines" (sku);
CREATE TABLE billing (kunde INTEGER PRIMARY KEY REFERENCES "Kunden", "VAT №" TEXT, "🙂 note" TEXT, iban TEXT);
CREATE TABLE tags (id INTEGER PRIMARY KEY, label TEXT);
CREATE TABLE product_tags (sku TEXT REFERENCES products, tag INTEGER REFERENCES tags, PRIMARY KEY (sku, tag));
CREATE INDEX product_tags_tag ON product_tags (tag);
CREATE TABLE "audit
log" (line TEXT, kunde INTEGER REFERENCES "Kunden");
INSERT INTO "Kunden" (id, "Name", "größe", "$cost${X}") VALUES (1, 'Ada', 170, 1.50), (2, 'Bob', NULL, NULL);
INSERT INTO billing VALUES (1, 'IT123', 'fine', 'IT60X0542811101000000123456');
INSERT INTO "Order" VALUES ('a,b', 1, 1, 'x', 9.50, true, '2026-11-23'), ('c', 1, 2, NULL, NULL, NULL, NULL);
INSERT INTO makers VALUES (1, NULL), (2, 1);
INSERT INTO "a.b: {c}" VALUES (5, 'S', 'y', 2);
INSERT INTO products VALUES ('W', 'Widget', 'n', 'S', NULL);
INSERT INTO "order lines" VALUES ('a,b', 1, 1, 'W', 2, 4.75, 'x'), ('a,b', 1, 2, 'W', 3, 0.10, NULL);
