BEGIN TRANSACTION;
CREATE TABLE account (
	id VARCHAR NOT NULL, 
	parent VARCHAR, 
	kind VARCHAR NOT NULL, 
	chain VARCHAR NOT NULL, 
	epsilon BIGINT NOT NULL, 
	delta BIGINT NOT NULL, 
	delta_keys BIGINT NOT NULL, 
	capacity_0 BIGINT NOT NULL, 
	capacity_1 BIGINT NOT NULL, 
	capacity_2 BIGINT NOT NULL, 
	capacity_3 BIGINT NOT NULL, 
	capacity_4 BIGINT NOT NULL, 
	capacity_5 BIGINT NOT NULL, 
	capacity_6 BIGINT NOT NULL, 
	capacity_7 BIGINT NOT NULL, 
	capacity_8 BIGINT NOT NULL, 
	capacity_9 BIGINT NOT NULL, 
	capacity_10 BIGINT NOT NULL, 
	capacity_11 BIGINT NOT NULL, 
	capacity_12 BIGINT NOT NULL, 
	capacity_13 BIGINT NOT NULL, 
	capacity_14 BIGINT NOT NULL, 
	capacity_15 BIGINT NOT NULL, 
	capacity_16 BIGINT NOT NULL, 
	capacity_delta BIGINT NOT NULL, 
	spent_0 BIGINT DEFAULT 0 NOT NULL, 
	spent_1 BIGINT DEFAULT 0 NOT NULL, 
	spent_2 BIGINT DEFAULT 0 NOT NULL, 
	spent_3 BIGINT DEFAULT 0 NOT NULL, 
	spent_4 BIGINT DEFAULT 0 NOT NULL, 
	spent_5 BIGINT DEFAULT 0 NOT NULL, 
	spent_6 BIGINT DEFAULT 0 NOT NULL, 
	spent_7 BIGINT DEFAULT 0 NOT NULL, 
	spent_8 BIGINT DEFAULT 0 NOT NULL, 
	spent_9 BIGINT DEFAULT 0 NOT NULL, 
	spent_10 BIGINT DEFAULT 0 NOT NULL, 
	spent_11 BIGINT DEFAULT 0 NOT NULL, 
	spent_12 BIGINT DEFAULT 0 NOT NULL, 
	spent_13 BIGINT DEFAULT 0 NOT NULL, 
	spent_14 BIGINT DEFAULT 0 NOT NULL, 
	spent_15 BIGINT DEFAULT 0 NOT NULL, 
	spent_16 BIGINT DEFAULT 0 NOT NULL, 
	spent_delta BIGINT DEFAULT 0 NOT NULL, 
	surcharge_0 BIGINT DEFAULT 0 NOT NULL, 
	surcharge_1 BIGINT DEFAULT 0 NOT NULL, 
	surcharge_2 BIGINT DEFAULT 0 NOT NULL, 
	surcharge_3 BIGINT DEFAULT 0 NOT NULL, 
	surcharge_4 BIGINT DEFAULT 0 NOT NULL, 
	surcharge_5 BIGINT DEFAULT 0 NOT NULL, 
	surcharge_6 BIGINT DEFAULT 0 NOT NULL, 
	surcharge_7 BIGINT DEFAULT 0 NOT NULL, 
	surcharge_8 BIGINT DEFAULT 0 NOT NULL, 
	surcharge_9 BIGINT DEFAULT 0 NOT NULL, 
	surcharge_10 BIGINT DEFAULT 0 NOT NULL, 
	surcharge_11 BIGINT DEFAULT 0 NOT NULL, 
	surcharge_12 BIGINT DEFAULT 0 NOT NULL, 
	surcharge_13 BIGINT DEFAULT 0 NOT NULL, 
	surcharge_14 BIGINT DEFAULT 0 NOT NULL, 
	surcharge_15 BIGINT DEFAULT 0 NOT NULL, 
	surcharge_16 BIGINT DEFAULT 0 NOT NULL, 
	surcharge_delta BIGINT DEFAULT 0 NOT NULL, 
	charges BIGINT DEFAULT 0 NOT NULL, 
	CONSTRAINT pk_account PRIMARY KEY (id), 
	CONSTRAINT ck_account_known_kind CHECK (kind IN ('population', 'dataset', 'project', 'analyst')), 
	CONSTRAINT ck_account_rooted CHECK ((parent IS NULL) = (kind = 'population')), 
	CONSTRAINT ck_account_within_some_order CHECK (spent_0 <= capacity_0 - surcharge_0 OR spent_1 <= capacity_1 - surcharge_1 OR spent_2 <= capacity_2 - surcharge_2 OR spent_3 <= capacity_3 - surcharge_3 OR spent_4 <= capacity_4 - surcharge_4 OR spent_5 <= capacity_5 - surcharge_5 OR spent_6 <= capacity_6 - surcharge_6 OR spent_7 <= capacity_7 - surcharge_7 OR spent_8 <= capacity_8 - surcharge_8 OR spent_9 <= capacity_9 - surcharge_9 OR spent_10 <= capacity_10 - surcharge_10 OR spent_11 <= capacity_11 - surcharge_11 OR spent_12 <= capacity_12 - surcharge_12 OR spent_13 <= capacity_13 - surcharge_13 OR spent_14 <= capacity_14 - surcharge_14 OR spent_15 <= capacity_15 - surcharge_15 OR spent_16 <= capacity_16 - surcharge_16), 
	CONSTRAINT ck_account_within_delta CHECK (spent_delta <= capacity_delta - surcharge_delta), 
	CONSTRAINT ck_account_spent_not_negative CHECK (spent_0 >= 0 AND spent_1 >= 0 AND spent_2 >= 0 AND spent_3 >= 0 AND spent_4 >= 0 AND spent_5 >= 0 AND spent_6 >= 0 AND spent_7 >= 0 AND spent_8 >= 0 AND spent_9 >= 0 AND spent_10 >= 0 AND spent_11 >= 0 AND spent_12 >= 0 AND spent_13 >= 0 AND spent_14 >= 0 AND spent_15 >= 0 AND spent_16 >= 0 AND spent_delta >= 0), 
	CONSTRAINT ck_account_surcharge_not_negative CHECK (surcharge_0 >= 0 AND surcharge_1 >= 0 AND surcharge_2 >= 0 AND surcharge_3 >= 0 AND surcharge_4 >= 0 AND surcharge_5 >= 0 AND surcharge_6 >= 0 AND surcharge_7 >= 0 AND surcharge_8 >= 0 AND surcharge_9 >= 0 AND surcharge_10 >= 0 AND surcharge_11 >= 0 AND surcharge_12 >= 0 AND surcharge_13 >= 0 AND surcharge_14 >= 0 AND surcharge_15 >= 0 AND surcharge_16 >= 0 AND surcharge_delta >= 0), 
	CONSTRAINT ck_account_surcharge_on_analysts CHECK (kind = 'analyst' OR (surcharge_0 = 0 AND surcharge_1 = 0 AND surcharge_2 = 0 AND surcharge_3 = 0 AND surcharge_4 = 0 AND surcharge_5 = 0 AND surcharge_6 = 0 AND surcharge_7 = 0 AND surcharge_8 = 0 AND surcharge_9 = 0 AND surcharge_10 = 0 AND surcharge_11 = 0 AND surcharge_12 = 0 AND surcharge_13 = 0 AND surcharge_14 = 0 AND surcharge_15 = 0 AND surcharge_16 = 0 AND surcharge_delta = 0)), 
	CONSTRAINT fk_account_parent FOREIGN KEY(parent) REFERENCES account (id)
);
INSERT INTO "account" VALUES('olmsted',NULL,'population','population/olmsted',10000000000,1000000000,100000000,0,0,0,0,0,2496469578,5878440774,6396352192,7157352781,8013936848,8775038949,9121604212,9597849748,9813244860,9912846539,9959320072,10000000000,100000000,6625000,7949994,9274988,10599976,13249952,15899904,21199754,26499490,31799088,42397744,63592080,84780884,169445284,338033324,671040484,1323949610,9223372036854775807,10000000,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,7);
INSERT INTO "account" VALUES('olmsted/liver','olmsted','dataset','liver',10000000000,1000000000,100000000,0,0,0,0,0,2496469578,5878440774,6396352192,7157352781,8013936848,8775038949,9121604212,9597849748,9813244860,9912846539,9959320072,10000000000,100000000,6625000,7949994,9274988,10599976,13249952,15899904,21199754,26499490,31799088,42397744,63592080,84780884,169445284,338033324,671040484,1323949610,9223372036854775807,10000000,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,7);
INSERT INTO "account" VALUES('olmsted/liver/default','olmsted/liver','project','liver',10000000000,1000000000,100000000,0,0,0,0,0,2496469578,5878440774,6396352192,7157352781,8013936848,8775038949,9121604212,9597849748,9813244860,9912846539,9959320072,10000000000,100000000,6625000,7949994,9274988,10599976,13249952,15899904,21199754,26499490,31799088,42397744,63592080,84780884,169445284,338033324,671040484,1323949610,9223372036854775807,10000000,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,7);
INSERT INTO "account" VALUES('olmsted/liver/default/ana','olmsted/liver/default','analyst','liver',10000000000,1000000000,100000000,0,0,0,0,0,2496469578,5878440774,6396352192,7157352781,8013936848,8775038949,9121604212,9597849748,9813244860,9912846539,9959320072,10000000000,100000000,6562500,7874995,9187490,10499980,13124960,15749920,20999795,26249575,31499240,41998120,62993400,83984070,167871070,335027770,665867070,1316624675,9223372036854775807,10000000,62500,74999,87498,99996,124992,149984,199959,249915,299848,399624,598680,796814,1574214,3005554,5173414,7324935,10000000,0,6);
INSERT INTO "account" VALUES('olmsted/liver/default/ben','olmsted/liver/default','analyst','liver',1000000000,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,1000000000,0,62500,74999,87498,99996,124992,149984,199959,249915,299848,399624,598680,796814,1574214,3005554,5173414,7324935,10000000,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,1);
INSERT INTO "account" VALUES('olmsted/panel','olmsted','dataset','panel',10000000000,1000000000,100000000,0,0,0,0,0,2496469578,5878440774,6396352192,7157352781,8013936848,8775038949,9121604212,9597849748,9813244860,9912846539,9959320072,10000000000,100000000,6250000,7500000,8750000,10000000,12500000,15000000,20000000,25000000,30000000,40000000,60000000,80000000,160000000,320000000,640000000,1280000000,9223372036854775807,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,1);
INSERT INTO "account" VALUES('olmsted/panel/default','olmsted/panel','project','panel',10000000000,1000000000,100000000,0,0,0,0,0,2496469578,5878440774,6396352192,7157352781,8013936848,8775038949,9121604212,9597849748,9813244860,9912846539,9959320072,10000000000,100000000,6250000,7500000,8750000,10000000,12500000,15000000,20000000,25000000,30000000,40000000,60000000,80000000,160000000,320000000,640000000,1280000000,9223372036854775807,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,1);
INSERT INTO "account" VALUES('olmsted/panel/default/ana','olmsted/panel/default','analyst','panel',10000000000,1000000000,100000000,0,0,0,0,0,2496469578,5878440774,6396352192,7157352781,8013936848,8775038949,9121604212,9597849748,9813244860,9912846539,9959320072,10000000000,100000000,6250000,7500000,8750000,10000000,12500000,15000000,20000000,25000000,30000000,40000000,60000000,80000000,160000000,320000000,640000000,1280000000,9223372036854775807,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,1);
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE answer (
	fingerprint VARCHAR NOT NULL, 
	charge BIGINT NOT NULL, 
	text TEXT NOT NULL, 
	CONSTRAINT pk_answer PRIMARY KEY (fingerprint), 
	CONSTRAINT fk_answer_charge FOREIGN KEY(charge) REFERENCES charge (id)
);
INSERT INTO "answer" VALUES('a',1,'{"rows":[1]}');
INSERT INTO "answer" VALUES('b',2,'{"rows":[2]}');
INSERT INTO "answer" VALUES('i',6,'{"rows":[3]}');
CREATE TABLE chain (
	dataset VARCHAR NOT NULL, 
	seq BIGINT NOT NULL, 
	hash VARCHAR NOT NULL, 
	CONSTRAINT pk_chain PRIMARY KEY (dataset)
);
INSERT INTO "chain" VALUES('population/olmsted',1,'9498cab51aabc0c5959e0d8f78e144c04fe4242886df84a1b54856097132568e');
INSERT INTO "chain" VALUES('liver',19,'d4be1a74be02db799431985c61a538135ab41712e1cdebd6c4220b1a07a40b69');
INSERT INTO "chain" VALUES('panel',5,'0a48661e7e522f362dcb2d66a0f91014fdcb07b78172b1de6a7ef31b9ac477b8');
CREATE TABLE charge (
	id INTEGER NOT NULL, 
	fingerprint VARCHAR NOT NULL, 
	datasets TEXT NOT NULL, 
	state VARCHAR NOT NULL, 
	principal VARCHAR, 
	"key" VARCHAR, 
	request_hash VARCHAR, 
	CONSTRAINT pk_charge PRIMARY KEY (id), 
	CONSTRAINT ck_charge_known_state CHECK (state IN ('open', 'answered', 'failed', 'lost')), 
	CONSTRAINT ck_charge_whole_key CHECK ((principal IS NULL) = (key IS NULL) AND (key IS NULL) = (request_hash IS NULL)), 
	CONSTRAINT uq_charge_principal_key UNIQUE (principal, "key")
);
INSERT INTO "charge" VALUES(1,'a','["liver"]','answered',NULL,NULL,NULL);
INSERT INTO "charge" VALUES(2,'b','["liver","panel"]','answered','ana','k','r');
INSERT INTO "charge" VALUES(3,'f','["liver"]','failed',NULL,NULL,NULL);
INSERT INTO "charge" VALUES(4,'g','["liver"]','failed',NULL,NULL,NULL);
INSERT INTO "charge" VALUES(5,'h','["liver"]','lost',NULL,NULL,NULL);
INSERT INTO "charge" VALUES(6,'i','["liver"]','answered',NULL,NULL,NULL);
INSERT INTO "charge" VALUES(7,'j','["liver"]','open',NULL,NULL,NULL);
CREATE TABLE data_version (
	dataset VARCHAR NOT NULL, 
	version BIGINT NOT NULL, 
	declaration TEXT NOT NULL, 
	digest VARCHAR NOT NULL, 
	CONSTRAINT pk_data_version PRIMARY KEY (dataset, version), 
	CONSTRAINT ck_data_version_counted_from_one CHECK (version >= 1)
);
INSERT INTO "data_version" VALUES('liver',1,'[liver]','d1');
CREATE TABLE receipt (
	dataset VARCHAR NOT NULL, 
	seq BIGINT NOT NULL, 
	kind VARCHAR NOT NULL, 
	charge BIGINT, 
	at BIGINT NOT NULL, 
	body TEXT NOT NULL, 
	previous VARCHAR NOT NULL, 
	hash VARCHAR NOT NULL, 
	CONSTRAINT pk_receipt PRIMARY KEY (dataset, seq), 
	CONSTRAINT ck_receipt_known_kind CHECK (kind IN ('opened', 'registered', 'charge', 'answer', 'failed', 'lost', 'unsuspended')), 
	CONSTRAINT ck_receipt_counted_from_one CHECK (seq >= 1), 
	CONSTRAINT fk_receipt_charge FOREIGN KEY(charge) REFERENCES charge (id)
);
INSERT INTO "receipt" VALUES('population/olmsted',1,'opened',NULL,1790000000,'{"account":"olmsted","capacity":{"delta_keys":100000000,"renyi":[0,0,0,0,0,2496469578,5878440774,6396352192,7157352781,8013936848,8775038949,9121604212,9597849748,9813244860,9912846539,9959320072,10000000000]},"delta":"1/1000000","delta_keys":"1/10000000","epsilon":"10"}','0000000000000000000000000000000000000000000000000000000000000000','9498cab51aabc0c5959e0d8f78e144c04fe4242886df84a1b54856097132568e');
INSERT INTO "receipt" VALUES('liver',1,'opened',NULL,1790000001,'{"account":"olmsted/liver","capacity":{"delta_keys":100000000,"renyi":[0,0,0,0,0,2496469578,5878440774,6396352192,7157352781,8013936848,8775038949,9121604212,9597849748,9813244860,9912846539,9959320072,10000000000]},"delta":"1/1000000","delta_keys":"1/10000000","epsilon":"10"}','0000000000000000000000000000000000000000000000000000000000000000','2bfc8f0ca4ab4434b108eab18255de78be414a2f74c2dfef31a6752525b548b1');
INSERT INTO "receipt" VALUES('liver',2,'opened',NULL,1790000002,'{"account":"olmsted/liver/default","capacity":{"delta_keys":100000000,"renyi":[0,0,0,0,0,2496469578,5878440774,6396352192,7157352781,8013936848,8775038949,9121604212,9597849748,9813244860,9912846539,9959320072,10000000000]},"delta":"1/1000000","delta_keys":"1/10000000","epsilon":"10"}','2bfc8f0ca4ab4434b108eab18255de78be414a2f74c2dfef31a6752525b548b1','b7b33348851b70f41bd6c8e26f5f695d5c3b460472c23c4a90a7029306527e66');
INSERT INTO "receipt" VALUES('liver',3,'opened',NULL,1790000003,'{"account":"olmsted/liver/default/ana","capacity":{"delta_keys":100000000,"renyi":[0,0,0,0,0,2496469578,5878440774,6396352192,7157352781,8013936848,8775038949,9121604212,9597849748,9813244860,9912846539,9959320072,10000000000]},"delta":"1/1000000","delta_keys":"1/10000000","epsilon":"10"}','b7b33348851b70f41bd6c8e26f5f695d5c3b460472c23c4a90a7029306527e66','f4f9c9e7cf810be46feac1d06a2605d1dab5e8ad9a5c07d21f5b437bddcacdd6');
INSERT INTO "receipt" VALUES('liver',4,'opened',NULL,1790000004,'{"account":"olmsted/liver/default/ben","capacity":{"delta_keys":0,"renyi":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,1000000000]},"delta":"0","delta_keys":"0","epsilon":"1"}','f4f9c9e7cf810be46feac1d06a2605d1dab5e8ad9a5c07d21f5b437bddcacdd6','c24bb7e2d8003e385d3fa0255a35c0981327f71514f35873f0e657eedaafdc51');
INSERT INTO "receipt" VALUES('panel',1,'opened',NULL,1790000005,'{"account":"olmsted/panel","capacity":{"delta_keys":100000000,"renyi":[0,0,0,0,0,2496469578,5878440774,6396352192,7157352781,8013936848,8775038949,9121604212,9597849748,9813244860,9912846539,9959320072,10000000000]},"delta":"1/1000000","delta_keys":"1/10000000","epsilon":"10"}','0000000000000000000000000000000000000000000000000000000000000000','8031aa3d4eb4f0753d988e2384ec81ea849e98dc8b176618205bcfc35e0aaba5');
INSERT INTO "receipt" VALUES('panel',2,'opened',NULL,1790000006,'{"account":"olmsted/panel/default","capacity":{"delta_keys":100000000,"renyi":[0,0,0,0,0,2496469578,5878440774,6396352192,7157352781,8013936848,8775038949,9121604212,9597849748,9813244860,9912846539,9959320072,10000000000]},"delta":"1/1000000","delta_keys":"1/10000000","epsilon":"10"}','8031aa3d4eb4f0753d988e2384ec81ea849e98dc8b176618205bcfc35e0aaba5','abe79ae16afe368fa4bd83c6c41494ec97b130c3ba56cc3d2f26559e856003a8');
INSERT INTO "receipt" VALUES('panel',3,'opened',NULL,1790000007,'{"account":"olmsted/panel/default/ana","capacity":{"delta_keys":100000000,"renyi":[0,0,0,0,0,2496469578,5878440774,6396352192,7157352781,8013936848,8775038949,9121604212,9597849748,9813244860,9912846539,9959320072,10000000000]},"delta":"1/1000000","delta_keys":"1/10000000","epsilon":"10"}','abe79ae16afe368fa4bd83c6c41494ec97b130c3ba56cc3d2f26559e856003a8','79c5b30857655c41f268bb3dae87691e0bb6e1e6179185ad7c8026bd1c70d4cc');
INSERT INTO "receipt" VALUES('liver',5,'registered',NULL,1790000008,'{"declaration_sha256":"5ae3535895e2a853c096ca532ae54c2605415a832607814d4fa608718f1a7f36","digest_commitment":"406a1de3baf7ca5c343b7c2b437d384906ec1ca80c3f84d95a6101ae0bf7328a","version":1}','c24bb7e2d8003e385d3fa0255a35c0981327f71514f35873f0e657eedaafdc51','5fd71cde2956e8586b844830496fa944ce412b3fad2a047fde6fd4ce9fb74ad5');
INSERT INTO "receipt" VALUES('liver',6,'charge',1,1790000018,'{"accounts":["olmsted","olmsted/liver","olmsted/liver/default","olmsted/liver/default/ana"],"datasets":["liver"],"fingerprint":"a","idempotency":null,"loss":{"delta":0,"renyi":[62500,74999,87498,99996,124992,149984,199959,249915,299848,399624,598680,796814,1574214,3005554,5173414,7324935,10000000]},"public":{"asker":"ana","question":"SELECT count(*) FROM liver.patients -- a"},"surcharges":{"olmsted/liver/default/ana":{"delta":0,"renyi":[62500,74999,87498,99996,124992,149984,199959,249915,299848,399624,598680,796814,1574214,3005554,5173414,7324935,10000000]}}}','5fd71cde2956e8586b844830496fa944ce412b3fad2a047fde6fd4ce9fb74ad5','94afa5fed803ff6f6ca542f317b7d04f0a3b2c4311a06d1f280b9830f0fc1466');
INSERT INTO "receipt" VALUES('liver',7,'answer',1,1790000018,'{"answer_of":1,"sha256":"04a9ea2dd3a938dffdb0b8ce8f9d4ad37216a67b193209d521cb364f30db33be"}','94afa5fed803ff6f6ca542f317b7d04f0a3b2c4311a06d1f280b9830f0fc1466','b3f77e13827306136fe8387b0d6dfc1ad02e6dab6fd3fa3e17a1b520910e2f9a');
INSERT INTO "receipt" VALUES('liver',8,'charge',2,1790000028,'{"accounts":["olmsted","olmsted/liver","olmsted/liver/default","olmsted/liver/default/ana","olmsted/panel","olmsted/panel/default","olmsted/panel/default/ana"],"datasets":["liver","panel"],"fingerprint":"b","idempotency":["ana","k","r"],"loss":{"delta":0,"renyi":[6250000,7500000,8750000,10000000,12500000,15000000,20000000,25000000,30000000,40000000,60000000,80000000,160000000,320000000,640000000,1280000000,9223372036854775807]},"public":{"asker":"ana","question":"SELECT count(*) FROM liver.patients -- b"},"surcharges":{}}','b3f77e13827306136fe8387b0d6dfc1ad02e6dab6fd3fa3e17a1b520910e2f9a','20c5cfd4d0624919e790f4711dce5c38d1eae14f9210ab6d9d8bb498f987beaa');
INSERT INTO "receipt" VALUES('panel',4,'charge',2,1790000028,'{"accounts":["olmsted","olmsted/liver","olmsted/liver/default","olmsted/liver/default/ana","olmsted/panel","olmsted/panel/default","olmsted/panel/default/ana"],"datasets":["liver","panel"],"fingerprint":"b","idempotency":["ana","k","r"],"loss":{"delta":0,"renyi":[6250000,7500000,8750000,10000000,12500000,15000000,20000000,25000000,30000000,40000000,60000000,80000000,160000000,320000000,640000000,1280000000,9223372036854775807]},"public":{"asker":"ana","question":"SELECT count(*) FROM liver.patients -- b"},"surcharges":{}}','79c5b30857655c41f268bb3dae87691e0bb6e1e6179185ad7c8026bd1c70d4cc','5a80759ce1c7bad5f26b0c3523bd584ceb6665a0683c0578ad0a5daf66a86bbc');
INSERT INTO "receipt" VALUES('liver',9,'answer',2,1790000028,'{"answer_of":2,"sha256":"edcedafb1655f0b09fe08af67f383494ec678416163376e4e6842b6ebc9fe267"}','20c5cfd4d0624919e790f4711dce5c38d1eae14f9210ab6d9d8bb498f987beaa','c70d27034d970f3f83bbeda0bc579d4c30ed23657bb31af50772e736f93a7aaf');
INSERT INTO "receipt" VALUES('panel',5,'answer',2,1790000028,'{"answer_of":2,"sha256":"edcedafb1655f0b09fe08af67f383494ec678416163376e4e6842b6ebc9fe267"}','5a80759ce1c7bad5f26b0c3523bd584ceb6665a0683c0578ad0a5daf66a86bbc','0a48661e7e522f362dcb2d66a0f91014fdcb07b78172b1de6a7ef31b9ac477b8');
INSERT INTO "receipt" VALUES('liver',10,'charge',3,1790086438,'{"accounts":["olmsted","olmsted/liver","olmsted/liver/default","olmsted/liver/default/ana"],"datasets":["liver"],"fingerprint":"f","idempotency":null,"loss":{"delta":10000000,"renyi":[62500,74999,87498,99996,124992,149984,199959,249915,299848,399624,598680,796814,1574214,3005554,5173414,7324935,10000000]},"public":{"asker":"ana","question":"SELECT count(*) FROM liver.patients -- f"},"surcharges":{}}','c70d27034d970f3f83bbeda0bc579d4c30ed23657bb31af50772e736f93a7aaf','e3644f6b3765b45db6589e57d7f658977d930fbb3cb0cd9bf4da70061c13e228');
INSERT INTO "receipt" VALUES('liver',11,'failed',3,1790086438,'{"reason":"timeout"}','e3644f6b3765b45db6589e57d7f658977d930fbb3cb0cd9bf4da70061c13e228','ca276130b505684fcdb9db3ed7feaeb7f49d8a6aa877d7dcbaff551df268f5a9');
INSERT INTO "receipt" VALUES('liver',12,'charge',4,1790086448,'{"accounts":["olmsted","olmsted/liver","olmsted/liver/default","olmsted/liver/default/ben"],"datasets":["liver"],"fingerprint":"g","idempotency":null,"loss":{"delta":0,"renyi":[62500,74999,87498,99996,124992,149984,199959,249915,299848,399624,598680,796814,1574214,3005554,5173414,7324935,10000000]},"public":{"asker":"ana","question":"SELECT count(*) FROM liver.patients -- g"},"surcharges":{}}','ca276130b505684fcdb9db3ed7feaeb7f49d8a6aa877d7dcbaff551df268f5a9','560d750f049d89f6136627b3753174599123f5c7a405842c7cf7a2b4b2f1c4a3');
INSERT INTO "receipt" VALUES('liver',13,'failed',4,1790086448,'{"reason":"timeout"}','560d750f049d89f6136627b3753174599123f5c7a405842c7cf7a2b4b2f1c4a3','3658b0c3bf90bdaa42ecde13532a4da7fabcf56a3845f42c291f2c47453ebfec');
INSERT INTO "receipt" VALUES('liver',14,'unsuspended',4,1790086448,'{"fingerprint":"g"}','3658b0c3bf90bdaa42ecde13532a4da7fabcf56a3845f42c291f2c47453ebfec','dbd31d6605c341a7c13e85b1bfa8a220729b97d76bbb3a178f2411dfbba0bfd9');
INSERT INTO "receipt" VALUES('liver',15,'charge',5,1790086458,'{"accounts":["olmsted","olmsted/liver","olmsted/liver/default","olmsted/liver/default/ana"],"datasets":["liver"],"fingerprint":"h","idempotency":null,"loss":{"delta":0,"renyi":[62500,74999,87498,99996,124992,149984,199959,249915,299848,399624,598680,796814,1574214,3005554,5173414,7324935,10000000]},"public":{"asker":"ana","question":"SELECT count(*) FROM liver.patients -- h"},"surcharges":{}}','dbd31d6605c341a7c13e85b1bfa8a220729b97d76bbb3a178f2411dfbba0bfd9','e948a7e4c068ce1a0009c5c23532133c9e94dc96d29c854aba83b64c9e7d1974');
INSERT INTO "receipt" VALUES('liver',16,'lost',5,1790086458,'{}','e948a7e4c068ce1a0009c5c23532133c9e94dc96d29c854aba83b64c9e7d1974','13145f56abea502e81b788012a5981c29ee8f74c6e1a2e2d44a6ba41ba4e1d4d');
INSERT INTO "receipt" VALUES('liver',17,'charge',6,1790086468,'{"accounts":["olmsted","olmsted/liver","olmsted/liver/default","olmsted/liver/default/ana"],"datasets":["liver"],"fingerprint":"i","idempotency":null,"loss":{"delta":0,"renyi":[62500,74999,87498,99996,124992,149984,199959,249915,299848,399624,598680,796814,1574214,3005554,5173414,7324935,10000000]},"public":{"asker":"ana","question":"SELECT count(*) FROM liver.patients -- i"},"surcharges":{}}','13145f56abea502e81b788012a5981c29ee8f74c6e1a2e2d44a6ba41ba4e1d4d','fcb9eff3a39675992cca601791415a9cbe6da0558cd6343a424287f93eb3bd08');
INSERT INTO "receipt" VALUES('liver',18,'answer',6,1790086468,'{"answer_of":6,"sha256":"508ea1d69ba2ff68474ea4e4b7b9a4197eccbb861d899107f9b4818e57ad2390"}','fcb9eff3a39675992cca601791415a9cbe6da0558cd6343a424287f93eb3bd08','f81094fb600fce80fef7f24e56294c005ec67a0e37dcf2137d31143276c6998d');
INSERT INTO "receipt" VALUES('liver',19,'charge',7,1790086478,'{"accounts":["olmsted","olmsted/liver","olmsted/liver/default","olmsted/liver/default/ana"],"datasets":["liver"],"fingerprint":"j","idempotency":null,"loss":{"delta":0,"renyi":[62500,74999,87498,99996,124992,149984,199959,249915,299848,399624,598680,796814,1574214,3005554,5173414,7324935,10000000]},"public":{"asker":"ana","question":"SELECT count(*) FROM liver.patients -- j"},"surcharges":{}}','f81094fb600fce80fef7f24e56294c005ec67a0e37dcf2137d31143276c6998d','d4be1a74be02db799431985c61a538135ab41712e1cdebd6c4220b1a07a40b69');
CREATE TABLE suspension (
	fingerprint VARCHAR NOT NULL, 
	charge BIGINT NOT NULL, 
	reason VARCHAR NOT NULL, 
	CONSTRAINT pk_suspension PRIMARY KEY (fingerprint), 
	CONSTRAINT fk_suspension_charge FOREIGN KEY(charge) REFERENCES charge (id)
);
INSERT INTO "suspension" VALUES('f',3,'timeout');
CREATE TABLE token (
	id VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	role VARCHAR NOT NULL, 
	grants TEXT NOT NULL, 
	secret_hash VARCHAR NOT NULL, 
	created BIGINT NOT NULL, 
	expires BIGINT, 
	revoked BIGINT, 
	CONSTRAINT pk_token PRIMARY KEY (id), 
	CONSTRAINT ck_token_known_role CHECK (role IN ('custodian', 'analyst', 'auditor'))
);
INSERT INTO "token" VALUES('fea91c446fbf','ana','analyst','["liver"]','d014e68aef93dc995dfb671f74f899309a63137d03c2a6a4381dd6f7a0fb9cae',1790086458,NULL,NULL);
CREATE UNIQUE INDEX one_account_a_dataset ON account (chain) WHERE kind = 'dataset';
CREATE INDEX open_charges ON charge (id) WHERE state = 'open';
CREATE INDEX receipts_of_charge ON receipt (charge);
CREATE TRIGGER receipt_no_update BEFORE UPDATE ON receipt BEGIN SELECT RAISE(ABORT, 'receipts are only ever added'); END;
CREATE TRIGGER receipt_no_delete BEFORE DELETE ON receipt BEGIN SELECT RAISE(ABORT, 'receipts are only ever added'); END;
CREATE TRIGGER answer_no_update BEFORE UPDATE ON answer BEGIN SELECT RAISE(ABORT, 'answers are only ever added'); END;
CREATE TRIGGER answer_no_delete BEFORE DELETE ON answer BEGIN SELECT RAISE(ABORT, 'answers are only ever added'); END;
COMMIT;
